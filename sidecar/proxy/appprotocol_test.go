package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

func TestWhatAppsAreSpokenToIn(t *testing.T) {
	t.Parallel()
	upstream := app(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }).URL
	const one, two = "HTTP/1.1", "HTTP/2.0"
	for name, tt := range map[string]struct {
		app         AppProtocol
		h2          bool
		contentType string
		want        string
	}{
		"an HTTP/2 client":                   {"", true, "", one},
		"an HTTP/2 client, by name":          {AppAuto, true, "application/json", one},
		"an HTTP/1.1 client":                 {AppAuto, false, "", one},
		"gRPC":                               {AppAuto, true, "application/grpc", two},
		"gRPC with its encoding":             {AppAuto, true, "application/grpc+proto", two},
		"gRPC-Web":                           {AppAuto, true, "application/grpc-web+proto", one},
		"Connect's streams":                  {AppAuto, true, "application/connect+proto", two},
		"Connect's streams in capitals":      {AppAuto, true, "Application/Connect+JSON", two},
		"Connect's unary calls":              {AppAuto, true, "application/proto", one},
		"all in HTTP/1.1":                    {AppHTTP1, true, "application/grpc", one},
		"all in h2c":                         {AppH2C, true, "", two},
		"all in h2c, but an HTTP/1.1 client": {AppH2C, false, "", one},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := protect(t, upstream, func(c *Config) { c.AppProtocol = tt.app })
			r := request(t, "POST", "http://"+g.addr+"/docs/a", strings.NewReader("abc"))
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			if res, body := ask(t, client(t, tt.h2), r); res.StatusCode != 200 || body != tt.want {
				t.Errorf("got %s %q, want %s", res.Status, body, tt.want)
			}
		})
	}
	_, err := New(t.Context(), Config{
		Gate: gate.New(gate.Options{}), Listen: []Listen{{Address: "127.0.0.1:0", Upstream: upstream}}, Log: logr.Discard(), AppProtocol: "spdy",
	})
	if err == nil || !strings.Contains(err.Error(), "spdy") {
		t.Errorf("an unknown protocol: %v", err)
	}
}

// Whatever way a request takes, the app gets neither what a client says of itself, in any spelling, nor trailers that only a
// head may have.
func TestWhatAClientSaysOfItself(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, nil)
	for name, tt := range map[string]struct {
		h2          bool
		contentType string
	}{
		"HTTP/1.1": {false, "text/plain"},
		"HTTP/2":   {true, "text/plain"},
		"gRPC":     {true, "application/grpc"},
	} {
		r := request(t, "POST", "http://"+g.addr+"/docs/a", io.MultiReader(strings.NewReader("abc")), "Content-Type", tt.contentType,
			"X-Forwarded-For", "stranger", "X_Forwarded_For", "stranger", "X.Forwarded.For", "stranger", "X-Real-Ip", "stranger",
			"Forwarded", "for=stranger", "X-Kept", "yes")
		r.Trailer = http.Header{
			"X-Sum": {"yes"}, "Cookie": {"stranger"}, "X-Real-Ip": {"stranger"}, "X-User": {"stranger"}, "Via": {"stranger"},
		}
		if !tt.h2 { // net/http's server refuses it over HTTP/2
			r.Trailer.Set("Authorization", "stranger")
		}
		res, body := ask(t, client(t, tt.h2), r)
		if res.StatusCode != 200 || strings.Contains(body, "stranger") {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
		for _, want := range []string{"X-Kept: yes\n", "trailer X-Sum: yes\n", "X-Forwarded-For: 127.0.0.1\n", "X-Request-Id: ", "Via: "} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in %s", name, want, body)
			}
		}
	}
}

// Where tokens may come in other headers, a trailer of such a name carries none: nobody has looked at it.
func TestNoTokenComesInATrailer(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Issuers[0].From = []policy.TokenLocation{{Header: "X-Token"}, {Header: "X-Other"}}
	g := protect(t, echo(t).URL, nil, gatetest.Policy("orders", spec))
	for name, tt := range map[string]struct {
		h2          bool
		contentType string
	}{
		"HTTP/1.1": {false, "text/plain"},
		"HTTP/2":   {true, "text/plain"},
		"gRPC":     {true, "application/grpc"},
	} {
		r := request(t, "POST", "http://"+g.addr+"/orders/1", io.MultiReader(strings.NewReader("abc")), "Content-Type", tt.contentType, "X-Token", token())
		r.Trailer = http.Header{"X-Sum": {"yes"}, "X-Token": {"stranger"}, "X_token": {"stranger"}, "X-Other": {"stranger"}}
		res, body := ask(t, client(t, tt.h2), r)
		if res.StatusCode != 200 || strings.Contains(body, "stranger") || !strings.Contains(body, "trailer X-Sum: yes\n") {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
}
