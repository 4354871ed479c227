package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/explain"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
)

// TestASidecarExplainsRequests asks the real program about a request that it has refused, and about one to come.
func TestASidecarExplainsRequests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	write(t, dir, "orders.yaml", policyFor(issuer, "clerk"))
	p := start(t, newApp(t), "--policies", dir, "--log-level", "debug")
	const canary = "canary-5f2b6a3e"
	token := issuer.Token(time.Now(), map[string]any{"sub": canary, "role": "cook"})
	for path, id := range map[string]string{"/orders/7?x=" + canary: "refused-1", "/public": "passed-1"} {
		send(t, p.url+path, token, id)
	}
	for id, want := range map[string]string{"refused-1": `"reason": "NoRule"`, "passed-1": `"reason": "Allowed"`} {
		_, text := fetch(t, p.admin+"/debug/requests?id="+id, "")
		if !strings.Contains(text, want) || strings.Count(text, `"requestID"`) != 1 || strings.Contains(text, canary) {
			t.Errorf("the request %s is shown as %s", id, text)
		}
	}
	if _, text := fetch(t, p.admin+"/debug/requests?decision=deny&limit=5", ""); strings.Count(text, `"deny"`) != 1 || strings.Contains(text, `"allow"`) {
		t.Errorf("the refusals are %s", text)
	}
	if status, _ := fetch(t, p.admin+"/debug/requests?limit=x", ""); status != http.StatusBadRequest {
		t.Errorf("a limit that is no number: %d", status)
	}
	for role, want := range map[string]bool{"clerk": true, "cook": false} {
		q := explain.Question{
			Method: "GET", Target: "/orders/7?q=" + canary, Host: "orders",
			Header: http.Header{"Authorization": {"Bearer " + issuer.Token(time.Now(), map[string]any{"role": role, "sub": canary})}},
		}
		status, text := askFor(t, p.admin, q, nil)
		var a explain.Answer
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatalf("%d %s: %v", status, text, err)
		}
		if a.Report.Allowed != want || len(a.Report.Rules) != 2 || len(a.Report.Issuers) != 1 || a.Snapshot == "" {
			t.Errorf("role %s: %s", role, text)
		}
	}
	p.stop(t)
	if strings.Contains(p.log.String(), canary) {
		t.Errorf("the log tells what was asked:\n%s", p.log)
	}
}

// TestExplanationsAreForThoseWhoMeanIt asks as a page in a browser, or an app that somebody has ask, could.
func TestExplanationsAreForThoseWhoMeanIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "orders.yaml", policyFor(gatetest.NewIssuer("https://corp.example", "one"), "clerk"))
	p := start(t, newApp(t), "--policies", dir)
	q := explain.Question{Method: "GET", Target: "/public", Host: "orders"}
	for name, tt := range map[string]struct {
		edit func(*http.Request)
		want int
	}{
		"as it is meant":            {func(*http.Request) {}, 200},
		"without the header":        {func(r *http.Request) { r.Header.Del(explain.Header) }, 403},
		"as a form":                 {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"by a name of the attacker": {func(r *http.Request) { r.Host = "rebound.example" }, 403},
		"by the pod's address":      {func(r *http.Request) { r.Host = "10.0.0.7:15081" }, 403},
		"by GET":                    {func(r *http.Request) { r.Method = "GET" }, 405},
		"with a field too many": {func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"metod":"GET"}`))
			r.ContentLength = -1
		}, 400},
		"with two questions": {func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{} {}`)); r.ContentLength = -1 }, 400},
		"with a large body": {func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"target":"` + strings.Repeat("a", explain.MaxBytes) + `"}`))
			r.ContentLength = -1
		}, 400},
	} {
		if status, text := askFor(t, p.admin, q, tt.edit); status != tt.want {
			t.Errorf("%s: %d %s, want %d", name, status, text, tt.want)
		}
	}
	many := 0
	for range 100 {
		if status, _ := askFor(t, p.admin, q, nil); status == http.StatusTooManyRequests {
			many++
		}
	}
	if many == 0 {
		t.Error("a hundred explanations at once were given")
	}
	p.stop(t)
}

// TestDebugPagesAreForThePodItself asks the handlers from another address than loopback.
func TestDebugPagesAreForThePodItself(t *testing.T) {
	t.Parallel()
	s := &sidecar{}
	for _, page := range []string{"GET /debug/requests", "GET /debug/refusals", "GET /debug/keys", "GET /debug/state", "POST " + explain.Path} {
		method, path, _ := strings.Cut(page, " ")
		r := httptest.NewRequest(method, path, strings.NewReader("{}"))
		r.RemoteAddr, r.Host = "10.0.0.7:1", "localhost"
		r.Header.Set(explain.Header, "1")
		w := httptest.NewRecorder()
		s.admin().ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s from another pod: %d", page, w.Code)
		}
		r.RemoteAddr, r.Host = "127.0.0.1:1", "rebound.example:15081"
		w = httptest.NewRecorder()
		s.admin().ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s for a name that somebody points here: %d", page, w.Code)
		}
	}
}

// askFor asks the admin port a question.
func askFor(t *testing.T, admin string, q explain.Question, edit func(*http.Request)) (int, string) {
	t.Helper()
	body, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, admin+explain.Path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(explain.Header, "1")
	if edit != nil {
		edit(r)
	}
	return answered(t, r)
}

// send sends a request with an id.
func send(t *testing.T, url, token, id string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set(requestid.Header, id)
	if status, text := answered(t, r); status != 200 && status != 403 {
		t.Fatal(fmt.Sprint(status, text))
	}
}

func answered(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
