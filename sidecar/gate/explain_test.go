package gate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// asked is a request as it comes to be explained.
func asked(r *gate.Request) *gate.Request {
	r.Time, r.Body = start, &gate.Body{Whole: true}
	return r
}

// TestExplainSaysWhatJudgeDoes holds explanations to the verdicts on the same requests.
func TestExplainSaysWhatJudgeDoes(t *testing.T) {
	t.Parallel()
	trial := orders()
	trial.Mode, trial.Issuers[0].Name = policy.Audit, "trial"
	g := newGate(t, gatetest.Policy("orders", orders()), gatetest.Policy("trial", trial))
	g.Revoke(revoked.SetOf(policy.Revocation{Issuer: corp.URL, Entries: []policy.RevocationEntry{{JTI: "lost"}}}))
	of := func(claims map[string]any) []string { return bearer(corp.Token(start, claims)) }
	for name, r := range map[string]*gate.Request{
		"let in":              get("/orders/1", of(map[string]any{"scope": "orders.read"})...),
		"no token":            get("/orders/1"),
		"anonymous":           get("/docs/a"),
		"a token is ignored":  get("/metrics", bearer("a.b.c")...),
		"a scope is missing":  get("/orders/1", of(nil)...),
		"denied":              get("/orders/admin", of(nil)...),
		"no rule":             get("/else", of(nil)...),
		"expired":             get("/orders/1", bearer(corp.Token(start.Add(-2*time.Hour), nil))...),
		"forged":              get("/orders/1", bearer(forged(corp.Token(start, nil)))...),
		"a stranger's":        get("/orders/1", bearer(partner.Token(start, nil))...),
		"revoked":             get("/orders/1", of(map[string]any{"jti": "lost", "scope": "orders.read"})...),
		"no token at all":     get("/orders/1", bearer("a.b.c")...),
		"a path of two forms": get("/orders%2f1", of(nil)...),
		"two tokens":          get("/docs/a", append(bearer("a"), bearer("b")...)...),
		"no method":           {Method: "TRACE", Target: "/docs/a", Host: "a"},
	} {
		want := g.Judge(asked(r))
		why := want.Why(r)
		got := g.Explain(r)
		if got.Verdict.Reason != want.Reason || got.Verdict.Forward != want.Forward || got.Verdict.Rule != want.Rule || got.Verdict.Policy != want.Policy || got.Verdict.Target != want.Target {
			t.Errorf("%s: explained as %s by %s, judged as %s by %s", name, got.Verdict.Reason, got.Verdict.Rule, want.Reason, want.Rule)
		}
		if diff := cmp.Diff(why.Details(), got.Details); diff != "" || len(got.Verdict.Audit) != len(want.Audit) || got.Snapshot != "test" {
			t.Errorf("%s: snapshot %q, audits %v: %s", name, got.Snapshot, got.Verdict.Audit, diff)
		}
		fits := false
		for _, rule := range got.Rules {
			fits = fits || rule.Fits && rule.Rule == want.Rule
		}
		if want.Forward && !fits {
			t.Errorf("%s: the rule %s does not fit in %+v", name, want.Rule, got.Rules)
		}
	}
}

func TestExplainSaysWhatEachIssuerDoes(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Issuers = append(spec.Issuers, partner.Policy("partner"))
	g := newGate(t, gatetest.Policy("orders", spec))
	got := g.Explain(asked(get("/orders/1", bearer(partner.Token(start, map[string]any{"scope": "orders.read"}))...)))
	if !got.Readable || len(got.Issuers) != 2 || got.Issuers[0].Refusal.Reason != decision.UnknownIssuer || got.Issuers[1].Refusal.Refused() {
		t.Errorf("the issuers say %+v", got.Issuers)
	}
	if len(got.Rules) != 4 || !got.Rules[3].Fits || got.Rules[3].Rule != "read" {
		t.Errorf("the rules say %+v", got.Rules)
	}
}

// TestExplanationsLeaveNoTrace asks for explanations and looks whether anybody else could notice.
func TestExplanationsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	alice := gatetest.NewProver("alice")
	proof := dpopIfBound()
	proof.Replay = policy.ReplayPerPod
	g := gate.New(gate.Options{Now: clock, OnUnknownKey: func(string) (time.Duration, bool) {
		t.Error("keys were fetched for an explanation")
		return 0, false
	}})
	g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", proofs(proof))))
	r := asked(attempt{token: bound(alice, nil), by: alice}.request())
	for range 3 {
		if got := g.Explain(r); !got.Verdict.Forward {
			t.Fatalf("the same proof is explained as %s: %v", got.Verdict.Reason, got.Verdict.Cause)
		}
	}
	if s := g.CacheStats(); s.Hits+s.Misses+uint64(s.Entries) != 0 {
		t.Errorf("the cache of tokens: %+v", s)
	}
	if v := g.Judge(r); !v.Forward {
		t.Errorf("the request itself is refused then: %s", v.Reason)
	}
	if v := g.Judge(r); v.Reason != decision.ProofReplayed {
		t.Errorf("the proof is remembered by nobody: %s", v.Reason)
	}
	fetched := gate.New(gate.Options{Now: clock, OnUnknownKey: func(string) (time.Duration, bool) {
		t.Error("keys were fetched for an explanation")
		return 0, false
	}})
	fetched.Swap(gatetest.Fetched(t, orders(), corp))
	if got := fetched.Explain(asked(get("/orders/1", bearer(gatetest.NewIssuer(corp.URL, "k9").Token(start, nil))...))); got.Verdict.Reason != decision.UnknownKey {
		t.Errorf("a key that nobody has: %s", got.Verdict.Reason)
	}
}

// TestExplanationsAskNoIssuer would turn the admin port into a way to try opaque tokens.
func TestExplanationsAskNoIssuer(t *testing.T) {
	t.Parallel()
	d := newDesk(t, active)
	g, load := asking(t, gate.Options{Now: clock}, d)
	spec := orders()
	spec.Issuers = []policy.Issuer{d.issuer("corp")}
	trial := spec
	trial.Mode = policy.Audit
	load(gatetest.Policy("orders", spec), gatetest.Policy("trial", trial))
	got := g.Explain(asked(get("/orders/1", bearer("opaque-token")...)))
	if got.Verdict.Reason != decision.IntrospectionUnavailable || got.Readable || len(got.Issuers) != 2 || got.Issuers[0].Refusal.Reason != decision.IntrospectionUnavailable {
		t.Errorf("an opaque token: %s, %+v", got.Verdict.Reason, got.Issuers)
	}
	if n := d.calls.Load(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// What an opaque token stands for is not shown because another token beside it, which Audit policies look at, can be read.
func TestOneReadableTokenDoesNotShowTheOther(t *testing.T) {
	t.Parallel()
	d := newDesk(t, active)
	g, load := asking(t, gate.Options{Now: clock}, d)
	spec := orders()
	trial := spec
	trial.Mode = policy.Audit
	spec.Issuers = []policy.Issuer{d.issuer("corp")}
	elsewhere := corp.Policy("corp")
	elsewhere.From = []policy.TokenLocation{{Header: "X-Id"}}
	trial.Issuers = []policy.Issuer{elsewhere}
	load(gatetest.Policy("orders", spec), gatetest.Policy("trial", trial))
	r := asked(get("/orders/1", append(bearer("opaque-token"), "X-Id", corp.Token(start, nil))...))
	if got := g.Explain(r); got.Readable || len(got.Issuers) != 2 || got.Issuers[1].Refusal.Refused() {
		t.Errorf("readable: %v, %+v", got.Readable, got.Issuers)
	}
}

func TestExplainWithoutRules(t *testing.T) {
	t.Parallel()
	g := gate.New(gate.Options{Now: clock})
	if got := g.Explain(asked(get("/"))); got.Verdict.Reason != decision.NotReady || got.Snapshot != "" {
		t.Errorf("without a snapshot: %s", got.Verdict.Reason)
	}
	g.Swap(gatetest.Snapshot(t, clock))
	if got := g.Explain(asked(get("/"))); got.Verdict.Reason != decision.NoPolicy {
		t.Errorf("without a policy: %s", got.Verdict.Reason)
	}
	g.SetStale(true)
	if got := g.Explain(asked(get("/"))); got.Verdict.Reason != decision.Stale {
		t.Errorf("with rules that are too old: %s", got.Verdict.Reason)
	}
}

func FuzzExplain(f *testing.F) {
	f.Add("GET", "/orders/1?x=1", "Bearer "+corp.Token(start, map[string]any{"scope": "orders.read"}))
	f.Add("POST", "/a/..;/b", "DPoP a.b.c")
	spec := orders()
	g := gate.New(gate.Options{Now: clock})
	g.Swap(gatetest.Snapshot(f, clock, gatetest.Policy("orders", spec)))
	f.Fuzz(func(t *testing.T, method, target, authorization string) {
		r := asked(get(target, "Authorization", authorization))
		r.Method = method
		want, got := g.Judge(r), g.Explain(r)
		if got.Verdict.Reason != want.Reason || got.Verdict.Forward != want.Forward {
			t.Errorf("%q %q: explained as %s, judged as %s", method, target, got.Verdict.Reason, want.Reason)
		}
		for _, rule := range got.Rules {
			if strings.TrimSpace(rule.Policy) == "" {
				t.Errorf("a rule without a policy: %+v", rule)
			}
		}
	})
}
