package proxy

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/logqueue"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// lockedBuffer takes what several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// logging is an Observer that only logs.
type logging struct{ *telemetry.DecisionLog }

func (logging) Connection(int) {}

// Whatever becomes of a request, nothing of its token gets into a log or a refusal.
func TestNothingOfATokenIsShown(t *testing.T) {
	t.Parallel()
	const canary = "canary-4711"
	out := &lockedBuffer{}
	log, err := logqueue.NewLogger(out, "json", "debug")
	if err != nil {
		t.Fatal(err)
	}
	spec := orders()
	spec.Issuers[0].From = []policy.TokenLocation{{Header: "Authorization", Prefix: "Bearer "}, {Query: "access_token"}}
	spec.Rules = append(spec.Rules, policy.Rule{
		Name: "users", Match: []policy.Match{{Paths: []string{"/users/{id}"}}},
		Allow: &policy.Allow{Conditions: policy.Conditions{Subjects: []string{"root"}, Claims: []policy.ClaimCondition{{Claim: "secret", AnyOf: []string{"no"}}}, When: "claims.secret == path.id"}},
	}, policy.Rule{
		Name: "scoped", Match: []policy.Match{{Paths: []string{"/scoped"}}}, Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"a"}}},
	})
	g := protect(t, "http://127.0.0.1:1", func(c *Config) {
		c.Log = log
		c.Observer = logging{telemetry.NewDecisionLog(log, telemetry.LogOptions{AllowEvery: 1, PerReason: 1000})}
	}, gatetest.Policy("orders", spec))
	now := time.Now()
	tokens := []string{
		corp.Token(now, map[string]any{"sub": canary, "secret": canary}),
		corp.Token(now.Add(-3*time.Hour), map[string]any{"sub": canary}),
		corp.Token(now, map[string]any{"aud": canary}),
		corp.Token(now, map[string]any{"exp": canary}),
		gatetest.NewIssuer(canary, "k").Token(now, nil),
		corp.Token(now, map[string]any{"sub": canary})[:200],
		canary, "a." + canary + ".c",
	}
	c := client(t, false)
	var shown strings.Builder
	for _, tok := range tokens {
		for _, r := range []*http.Request{
			request(t, "GET", "http://"+g.addr+"/orders/1", nil, "Authorization", "Bearer "+tok),
			request(t, "GET", "http://"+g.addr+"/orders/1?access_token="+tok, nil),
			request(t, "GET", "http://"+g.addr+"/users/1", nil, "Authorization", "Bearer "+tok),
			request(t, "GET", "http://"+g.addr+"/scoped", nil, "Authorization", "Bearer "+tok),
			request(t, "GET", "http://"+g.addr+"/orders/1?access_token="+tok, nil, "Authorization", "Bearer "+tok),
		} {
			res, body := ask(t, c, r)
			shown.WriteString(body)
			_ = res.Header.Write(&shown)
		}
	}
	shown.WriteString(raw(t, g.addr, "GET /docs/a?access_token="+canary+" HTTP/1.1\r\nHost: a\r\nAuthorization: "+canary+"\r\nX "+canary+"\r\n\r\n"))
	shown.WriteString(out.String())
	for _, secret := range append([]string{canary}, tokens...) {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("%q is shown in\n%s", secret, shown.String())
			return
		}
	}
	for _, want := range []string{`"reason":"Expired"`, `"failed":"spec.rules[3].allow.subjects: sub is none of these"`, `"failed":"spec.rules[4].allow.scopes: `} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s was logged:\n%s", want, out)
		}
	}
}
