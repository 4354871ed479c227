package gate_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

const slowURL = "https://slow.example.com"

var slowKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

// slowIssuer signs by ES512, which takes milliseconds to verify.
func slowIssuer() policy.Issuer {
	point, err := slowKey().PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	x, y := base64.RawURLEncoding.EncodeToString(point[1:67]), base64.RawURLEncoding.EncodeToString(point[67:])
	jwks := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-521","alg":"ES512","kid":"s","x":%q,"y":%q}]}`, x, y)
	return policy.Issuer{Name: "slow", Issuer: slowURL, Audiences: []string{"orders"}, Keys: policy.KeySource{JWKS: jwks}}
}

func slowToken(claims map[string]any) string {
	all := map[string]any{"iss": slowURL, "aud": "orders", "sub": "alice", "iat": start.Unix(), "exp": start.Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	input := part(map[string]any{"alg": "ES512", "kid": "s"}) + "." + part(all)
	sum := sha512.Sum512([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, slowKey(), sum[:])
	if err != nil {
		panic(err)
	}
	sig := make([]byte, 132)
	r.FillBytes(sig[:66])
	s.FillBytes(sig[66:])
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// forgedSlow is a token with a signature of the right form that is none.
func forgedSlow(jti string) string {
	raw := slowToken(map[string]any{"jti": jti})
	sig := make([]byte, 132)
	big.NewInt(7).FillBytes(sig[:66])
	big.NewInt(9).FillBytes(sig[66:])
	return raw[:strings.LastIndexByte(raw, '.')+1] + base64.RawURLEncoding.EncodeToString(sig)
}

// slowSpec takes tokens of both issuers, and has a rule whose condition takes long on long headers.
func slowSpec() policy.Spec {
	spec := orders()
	spec.Issuers = append(spec.Issuers, slowIssuer())
	spec.Rules = append(spec.Rules, policy.Rule{
		Name: "costly", Match: []policy.Match{{Paths: []string{"/costly"}}},
		Allow: &policy.Allow{Conditions: policy.Conditions{When: `request.headers["x-text"].matches("(a|b)*c")`}},
	})
	return spec
}

func TestWhatTakesLongIsNotJudgedNow(t *testing.T) {
	t.Parallel()
	scope := map[string]any{"scope": "orders.read"}
	quick := corp.Token(start, scope)
	large := corp.Token(start, map[string]any{"scope": "orders.read", "n": make([]int, 4000)})
	expired := slowToken(map[string]any{"exp": start.Add(-time.Hour).Unix()})
	text := strings.Repeat("a", 60<<10)
	tests := map[string]struct {
		give *gate.Request
		slow bool
		want decision.Reason
	}{
		"a token by EdDSA":                       {get("/orders/1", bearer(quick)...), false, decision.Allowed},
		"no token":                               {get("/orders/1"), false, decision.NoToken},
		"a public place":                         {get("/docs/a"), false, decision.Allowed},
		"a public place, whatever token":         {get("/metrics", bearer(slowToken(scope))...), false, decision.Allowed},
		"a token by ES512":                       {get("/orders/1", bearer(slowToken(scope))...), true, decision.Allowed},
		"a forged one":                           {get("/orders/1", bearer(forgedSlow("1"))...), true, decision.BadSignature},
		"an expired one":                         {get("/orders/1", bearer(expired)...), false, decision.Expired},
		"one of another issuer":                  {get("/orders/1", bearer(slowToken(map[string]any{"iss": "https://x.example"}))...), false, decision.UnknownIssuer},
		"a long token of many small parts":       {get("/orders/1", bearer(large)...), true, decision.Allowed},
		"a condition on a short header":          {get("/costly", append(bearer(quick), "X-Text", "abc")...), false, decision.Allowed},
		"a condition on a long header":           {get("/costly", append(bearer(quick), "X-Text", text)...), true, decision.NoRule},
		"a long header and another rule":         {get("/orders/1", append(bearer(quick), "X-Text", text)...), false, decision.Allowed},
		"a long header without a token":          {get("/costly", "X-Text", text), false, decision.NoToken},
		"a path that is refused, with a token":   {get("/orders/../../x", bearer(slowToken(scope))...), false, decision.BadPath},
		"two tokens, one of which is slow":       {get("/orders/1", append(bearer(quick), bearer(slowToken(scope))...)...), false, decision.DuplicateAuthorization},
		"a place that no rule knows, slow token": {get("/none", bearer(slowToken(scope))...), true, decision.NoRule},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, gatetest.Policy("orders", slowSpec()))
			v, wait := g.JudgeNow(tt.give)
			if slow := wait != nil; slow != tt.slow {
				t.Fatalf("slow: got %t, want %t (%s)", slow, tt.slow, v.Reason)
			}
			if wait != nil {
				if v.Forward || v.Reason != decision.Overloaded {
					t.Errorf("before its turn: %+v", v)
				}
				v = wait(t.Context())
			}
			if v.Reason != tt.want {
				t.Errorf("got %s, want %s (%v)", v.Reason, tt.want, v.Cause)
			}
			if w := g.JudgeWaiting(t.Context(), tt.give); w.Reason != tt.want {
				t.Errorf("JudgeWaiting: got %s, want %s", w.Reason, tt.want)
			}
		})
	}
}

func TestASlowTokenThatIsKnownIsJudgedNow(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("orders", slowSpec()))
	r := get("/orders/1", bearer(slowToken(map[string]any{"scope": "orders.read"}))...)
	_, wait := g.JudgeNow(r)
	if wait == nil {
		t.Fatal("it was judged at once")
	}
	wait(t.Context())
	if v, wait := g.JudgeNow(r); wait != nil || !v.Forward {
		t.Errorf("got %+v", v)
	}
}

func TestWhoseTurnDoesNotComeIsRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("orders", slowSpec()))
	free := g.Occupy(gate.MostQueued)
	defer free()
	if n := g.Queued(); n != gate.MostQueued {
		t.Fatalf("%d wait", n)
	}
	r := get("/orders/1", bearer(slowToken(map[string]any{"scope": "orders.read"}))...)
	_, wait := g.JudgeNow(r)
	if v := wait(t.Context()); v.Forward || v.Reason != decision.Overloaded || v.Cause == nil {
		t.Errorf("got %+v", v)
	}
	if v, wait := g.JudgeNow(get("/orders/1", bearer(corp.Token(start, map[string]any{"scope": "orders.read"}))...)); wait != nil || !v.Forward {
		t.Errorf("a quick one: %+v", v)
	}
}

// comesTrue waits for a condition.
func comesTrue(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick, end := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func TestWhoLeavesTheLineCostsNothing(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("orders", slowSpec()))
	free := g.Occupy(0)
	ctx, cancel := context.WithCancel(t.Context())
	_, wait := g.JudgeNow(get("/orders/1", bearer(forgedSlow("1"))...))
	done := make(chan gate.Verdict)
	go func() { done <- wait(ctx) }()
	comesTrue(t, "it waits", func() bool { return g.Queued() > 0 })
	cancel()
	if v := <-done; v.Forward {
		t.Errorf("got %+v", v)
	}
	free()
	if n := g.Queued(); n != 0 {
		t.Errorf("%d wait still", n)
	}
	if n := g.CacheStats().Misses; n != 0 {
		t.Errorf("%d tokens were verified", n)
	}
}

// An Audit policy changes nothing: a request goes on without its verdict, if that takes long and there is no room for it.
func TestAuditPoliciesThatTakeLongRefuseNobody(t *testing.T) {
	t.Parallel()
	audit := slowSpec()
	audit.Mode = policy.Audit
	tests := map[string]*gate.Gate{
		"alone":                    newGate(t, gatetest.Policy("trial", audit)),
		"beside an Enforce policy": newGate(t, gatetest.Policy("open", policy.Spec{Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Anonymous: true}}}}), gatetest.Policy("trial", audit)),
	}
	for name, g := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := get("/orders/1", bearer(slowToken(map[string]any{"scope": "orders.read"}))...)
			v, wait := g.JudgeNow(r)
			if !v.Forward || v.Audit != nil || wait == nil {
				t.Fatalf("at once: %+v", v)
			}
			free := g.Occupy(gate.MostQueued)
			if v := wait(t.Context()); !v.Forward || v.Audit != nil {
				t.Errorf("without room: %+v", v)
			}
			free()
			_, wait = g.JudgeNow(r)
			if v := wait(t.Context()); !v.Forward || len(v.Audit) != 1 || !v.Audit[0].Allowed {
				t.Errorf("with room: %+v", v)
			}
		})
	}
}

func TestOneClientsSlowTokensDoNotTakeAllPlaces(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("orders", slowSpec()))
	free := g.Occupy(0)
	from := func(r *gate.Request, ip string) *gate.Request { r.Remote = netip.MustParseAddr(ip); return r }
	var all sync.WaitGroup
	for i := range gate.MostQueued {
		_, wait := g.JudgeNow(from(get("/orders/1", bearer(forgedSlow(fmt.Sprint(i)))...), "192.0.2.1"))
		all.Go(func() { wait(t.Context()) })
	}
	comesTrue(t, "all wait", func() bool { return g.Queued() == gate.MostQueued })
	_, wait := g.JudgeNow(from(get("/orders/1", bearer(slowToken(map[string]any{"scope": "orders.read"}))...), "192.0.2.2"))
	done := make(chan gate.Verdict, 1)
	all.Go(func() { done <- wait(t.Context()) })
	comesTrue(t, "one has given way", func() bool { return g.Queued() == gate.MostQueued && len(done) == 0 })
	free()
	if v := <-done; !v.Forward {
		t.Errorf("got %+v", v)
	}
	if g.Queued() == 0 {
		t.Error("it came last")
	}
	all.Wait()
}

// A proof is for one request, however often that is judged.
func TestAProofIsTakenOnceThoughItsRequestIsJudgedTwice(t *testing.T) {
	t.Parallel()
	spec := slowSpec()
	p := dpopIfBound()
	spec.Issuers[0].Proof = &p
	g := newGate(t, gatetest.Policy("orders", spec))
	alice := gatetest.NewProver("alice")
	r := attempt{token: bound(alice, nil), by: alice, target: "/costly", made: gatetest.Made{URL: public + "/costly"}}.request()
	r.Header.(http.Header).Set("X-Text", strings.Repeat("a", 60<<10)+"c")
	for n, want := range []decision.Reason{decision.Allowed, decision.ProofReplayed} {
		v, wait := g.JudgeNow(r)
		if slow := wait != nil; slow != (n == 0) {
			t.Fatalf("%d: slow is %t (%s)", n, slow, v.Reason)
		}
		if wait != nil {
			v = wait(t.Context())
		}
		if v.Reason != want {
			t.Errorf("%d: got %s, want %s (%v)", n, v.Reason, want, v.Cause)
		}
	}
}

// What is told of a refusal does not take long either, and says the same.
func TestDetailsOfASlowTokenThatIsKnown(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("orders", slowSpec()))
	r := get("/orders/1", bearer(slowToken(map[string]any{"scope": "other"}))...)
	want := g.JudgeWaiting(t.Context(), r)
	now, wait := g.JudgeNow(r)
	if wait != nil || now.Reason != want.Reason {
		t.Fatalf("got %+v, want %+v", now, want)
	}
	then, is := want.Why(r), now.Why(r)
	if a, b := then.Details(), is.Details(); a.Failed == "" || a.Failed != b.Failed {
		t.Errorf("got %+v, want %+v", b, a)
	}
}
