package page_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/page"
)

func now() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }

// first is the first example, changed.
func first(change func(*page.Question)) page.Question {
	q := page.Examples()[0].Question
	if change != nil {
		change(&q)
	}
	return q
}

func TestEachExampleIsDecided(t *testing.T) {
	t.Parallel()
	want := []decision.Reason{decision.Allowed, decision.NoRule, decision.InsufficientAuthentication, decision.InsufficientScope, decision.Allowed}
	for i, e := range page.Examples() {
		a := page.Decide(e.Question, now())
		if a.Problem != "" {
			t.Errorf("%s: %s", e.Title, a.Problem)
			continue
		}
		if a.Report.Reason != want[i] || len(a.Report.Warnings) > 0 || len(a.Report.Notes) > 0 {
			t.Errorf("%s: %s (%s), warnings %v, notes %v", e.Title, a.Report.Reason, a.Report.Cause, a.Report.Warnings, a.Report.Notes)
		}
	}
}

func TestMistakesAreTold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change      func(*page.Question)
		field, text string
		line        int
	}{
		"a field that there is not": {func(q *page.Question) { q.Policy = strings.Replace(q.Policy, "scopes: [orders.read]", "scops: [x]", 1) },
			"policy", "line 19: spec.rules[1].allow.scops: is not a known field", 19},
		"a value that cannot be": {func(q *page.Question) { q.Policy = strings.Replace(q.Policy, `"/docs/**"`, `docs`, 1) },
			"policy", "line 15: shop/orders: spec.rules[0].match[0].paths[0]: does not start with a slash", 15},
		"no YAML":                       {func(q *page.Question) { q.Policy = "spec: {" }, "policy", "is not YAML", 2},
		"no policy":                     {func(q *page.Question) { q.Policy = "" }, "policy", "empty", 0},
		"a path without a slash":        {func(q *page.Question) { q.Target = "orders" }, "target", "must begin with /", 0},
		"no method":                     {func(q *page.Question) { q.Method = " " }, "method", "missing", 0},
		"an address that is none":       {func(q *page.Question) { q.Remote = "home" }, "remote", "not an IP address", 0},
		"a port that is none":           {func(q *page.Question) { q.Port = 0 }, "port", "from 1 to 65535", 0},
		"a time that is none":           {func(q *page.Question) { q.At = "tomorrow" }, "at", "2027-01-01", 0},
		"a label without a value":       {func(q *page.Question) { q.Labels = "app" }, "labels", "key=value", 0},
		"a header without a colon":      {func(q *page.Question) { q.Headers = "X" }, "headers", "Name: value", 0},
		"claims that are no object":     {func(q *page.Question) { q.Claims = "[1]" }, "claims", "claims", 0},
		"claims with a comma too many":  {func(q *page.Question) { q.Claims = `{"a":1,}` }, "claims", "claims", 0},
		"claims of an issuer not known": {func(q *page.Question) { q.Claims = `{"iss":"https://other.example"}` }, "claims", "iss", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := page.Decide(first(tt.change), now())
			if a.Field != tt.field || a.Line != tt.line || !strings.Contains(a.Problem, tt.text) || a.Report != nil {
				t.Errorf("%s, line %d: %s", a.Field, a.Line, a.Problem)
			}
		})
	}
}

// A condition leads to the line where it is written, and the rules are in the order of the policy.
func TestRulesHaveTheirLines(t *testing.T) {
	t.Parallel()
	a := page.Decide(first(nil), now())
	var names []string
	for _, r := range a.Policies[0].Rules {
		names = append(names, r.Rule)
	}
	if got := strings.Join(names, " "); got != "docs read refund own-profile no-delete-from-outside" {
		t.Errorf("the rules are %s", got)
	}
	if c := a.Policies[0].Rules[1].Conditions; len(c) != 2 || c[1].Field != "spec.rules[1].allow.scopes" || c[1].Line != 19 || !c[1].Holds {
		t.Errorf("conditions %+v", c)
	}
	if m := a.Policies[0].Rules[0].Mismatches; len(m) != 1 || m[0].Line != 15 {
		t.Errorf("mismatches %+v", m)
	}
}

func TestClaimsAreExplained(t *testing.T) {
	t.Parallel()
	q := first(func(q *page.Question) {
		q.Claims = `{"iss":"https://login.example.com","aud":["cart"],"exp":1795867140,"iat":1795863600,"sub":"alice","scope":"orders.read","realm_access":{"roles":["x"]},"team":"red"}`
	})
	a := page.Decide(q, now())
	want := []page.Claim{
		{Name: "iss", Value: `"https://login.example.com"`, Verdict: "good", Note: "issuer corp of shop/orders"},
		{Name: "aud", Value: `["cart"]`, Verdict: "bad", Note: "the issuer takes orders"},
		{Name: "exp", Value: `1795867140`, Verdict: "bad", Note: "2026-11-28T11:59:00Z, 1 min ago"},
		{Name: "iat", Value: `1795863600`, Verdict: "good", Note: "2026-11-28T11:00:00Z, 1 h ago"},
		{Name: "sub", Value: `"alice"`, Verdict: "good", Note: "rule own-profile, header X-User"},
		{Name: "scope", Value: `"orders.read"`, Note: "rule read, rule refund"},
		{Name: "realm_access", Value: `{"roles":["x"]}`, Verdict: "good", Note: "rule refund, header X-Roles"},
		{Name: "team", Value: `"red"`},
	}
	for i, c := range a.Token.Claims {
		if i < len(want) && c != want[i] {
			t.Errorf("got %+v\nwant %+v", c, want[i])
		}
	}
	if len(a.Token.Claims) != len(want) {
		t.Errorf("%d claims", len(a.Token.Claims))
	}
}

func TestTokensAreTakenApart(t *testing.T) {
	t.Parallel()
	const header = "eyJhbGciOiJFUzI1NiJ9"
	tests := map[string]struct{ token, header, note string }{
		"opaque":                        {"abc", "", "not a JWT"},
		"encrypted":                     {header + ".a.b.c.d", `"alg"`, "encrypted"},
		"a payload that is no base64":   {header + ".!.x", `"alg"`, "base64url"},
		"a payload that is no object":   {header + ".MQ.x", `"alg"`, "not a JSON object"},
		"claims that are there twice":   {header + ".eyJhIjoxLCJhIjoyfQ.x", `"alg"`, "not a JSON object"},
		"pasted with what is around it": {"Authorization: Bearer " + header + ".MQ.x\n", `"alg"`, "not a JSON object"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := page.Decide(first(func(q *page.Question) { q.Claims, q.Token = "", tt.token }), now())
			if a.Token == nil || !strings.Contains(a.Token.Note, tt.note) || !strings.Contains(a.Token.Header, tt.header) {
				t.Errorf("got %+v", a.Token)
			}
		})
	}
}

// The page is for this machine alone, and for no page of somebody else's in its browser.
func TestWhoIsServed(t *testing.T) {
	t.Parallel()
	h := page.Handler(now)
	question, err := json.Marshal(first(nil))
	if err != nil {
		t.Fatal(err)
	}
	large, err := json.Marshal(first(func(q *page.Question) { q.Body = strings.Repeat("x", 1<<20) }))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		method, host, path string
		body               []byte
		header             map[string]string
		status             int
	}{
		"the page":                             {method: "GET", host: "127.0.0.1:8088", path: "/", status: 200},
		"the page by name":                     {method: "GET", host: "localhost:8088", path: "/style.css", status: 200},
		"the page by IPv6":                     {method: "GET", host: "[::1]:8088", path: "/app.js", status: 200},
		"a name that somebody points here":     {method: "GET", host: "attacker.example:8088", path: "/", status: 421},
		"an address of the network":            {method: "GET", host: "192.0.2.1:8088", path: "/", status: 421},
		"a question":                           {method: "POST", host: "127.0.0.1:8088", path: "/decide", body: question, status: 200},
		"a question of its own page":           {method: "POST", host: "127.0.0.1:8088", path: "/decide", body: question, header: map[string]string{"Sec-Fetch-Site": "same-origin"}, status: 200},
		"a question of another site's page":    {method: "POST", host: "127.0.0.1:8088", path: "/decide", body: question, header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403},
		"a question of another program's page": {method: "POST", host: "127.0.0.1:8088", path: "/decide", body: question, header: map[string]string{"Origin": "http://127.0.0.1:9999"}, status: 403},
		"a question as a form":                 {method: "POST", host: "127.0.0.1:8088", path: "/decide", body: question, header: map[string]string{"Content-Type": "text/plain"}, status: 415},
		"a question that is too long":          {method: "POST", host: "127.0.0.1:8088", path: "/decide", body: large, status: 413},
		"a question with a member of its own":  {method: "POST", host: "127.0.0.1:8088", path: "/decide", body: []byte(`{"x":1}`), status: 400},
		"a file that is not one of the page":   {method: "GET", host: "127.0.0.1:8088", path: "/server.go", status: 404},
		"a question by GET":                    {method: "GET", host: "127.0.0.1:8088", path: "/decide", status: 404},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, "http://"+tt.host+"/", bytes.NewReader(tt.body))
			r.URL.Path = tt.path
			r.Header.Set("Content-Type", "application/json")
			for name, value := range tt.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("got %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if csp := w.Header().Get("Content-Security-Policy"); tt.status != 421 && !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'") {
				t.Errorf("the policy of the page's content is %q", csp)
			}
		})
	}
}

func FuzzDecide(f *testing.F) {
	for _, e := range page.Examples() {
		f.Add(e.Policy, e.Method, e.Target, e.Claims, "", "")
		f.Add(e.Policy, e.Method, e.Target, "", "eyJhbGciOiJFUzI1NiJ9.e30.x", "X: y")
	}
	f.Fuzz(func(t *testing.T, policy, method, target, claims, token, headers string) {
		q := page.Question{Policy: policy, Method: method, Target: target, Claims: claims, Token: token, Headers: headers, Remote: "192.0.2.1", Port: 80}
		if a := page.Decide(q, now()); (a.Problem == "") == (a.Report == nil) {
			t.Errorf("neither a problem nor a report, or both: %+v", a)
		}
	})
}
