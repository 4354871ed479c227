package fetch

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case "/large":
			_, _ = w.Write(make([]byte, 2048))
		case "/done":
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = w.Write([]byte(r.Method + " " + r.Header.Get("Content-Type") + " " + string(body)))
		}
	}))
	defer server.Close()
	local := Options{AllowHTTP: true, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxBytes: 1024}
	for name, tc := range map[string]struct {
		q       Question
		o       Options
		want    string
		problem string
	}{
		"a GET":                        {Question{URL: server.URL + "/x", Token: "secret"}, local, "GET  ", ""},
		"a POST":                       {Question{URL: server.URL + "/x", Token: "secret", Body: []byte("{}")}, local, "POST application/json {}", ""},
		"no content, which is wanted":  {Question{URL: server.URL + "/done", Token: "secret", Takes: []int{204}}, local, "", ""},
		"no content, which is not":     {Question{URL: server.URL + "/done", Token: "secret"}, local, "", "answered 204"},
		"a redirect is not followed":   {Question{URL: server.URL + "/away", Token: "secret"}, local, "", "answered 307"},
		"another token":                {Question{URL: server.URL + "/x", Token: "other"}, local, "", "answered 401"},
		"more than is read":            {Question{URL: server.URL + "/large", Token: "secret"}, local, "", "larger than 1024 bytes"},
		"plain http without leave":     {Question{URL: server.URL + "/x", Token: "secret"}, Options{}, "", "scheme is http"},
		"a loopback address, likewise": {Question{URL: server.URL + "/x", Token: "secret"}, Options{AllowHTTP: true}, "", "loopback"},
	} {
		body, err := Ask(t.Context(), tc.q, tc.o)
		if string(body) != tc.want || (err != nil) != (tc.problem != "") || err != nil && !strings.Contains(err.Error(), tc.problem) {
			t.Errorf("%s: %q, %v", name, body, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the token: %v", name, err)
		}
	}
	var status *StatusError
	if _, err := Ask(t.Context(), Question{URL: server.URL + "/away", Token: "secret"}, local); !errors.As(err, &status) || status.Status != 307 {
		t.Errorf("%v is no StatusError", err)
	}
}
