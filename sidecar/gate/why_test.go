package gate_test

import (
	"encoding/json"
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

// Of a request that an Audit policy has no rule for, those who run the guard are told which of its issuers vouches for the token, and which
// scopes it has. Nothing is kept of other requests that are forwarded.
func TestWhomAuditPoliciesHaveNoRuleFor(t *testing.T) {
	t.Parallel()
	trial := policy.Spec{Mode: policy.Audit, Issuers: []policy.Issuer{partner.Policy("partner"), corp.Policy("staff")}}
	trial.Rules = []policy.Rule{{Name: "docs", Match: []policy.Match{{Paths: []string{"/docs/**"}}}, Allow: &policy.Allow{Authenticated: true}}}
	of := func(i *gatetest.Issuer, claims map[string]any) []string { return bearer(i.Token(start, claims)) }
	read := map[string]any{"scope": "orders.write orders.read orders.write", "scp": []string{"more"}}
	staff := []decision.AuditDetails{{IssuerEntry: "staff", Scopes: []string{"more", "orders.read", "orders.write"}}}
	alone, beside := newGate(t, gatetest.Policy("trial", trial)), newGate(t, gatetest.Policy("trial", trial), gatetest.Policy("orders", orders()))
	for name, tt := range map[string]struct {
		gate *gate.Gate
		give *gate.Request
		want []decision.AuditDetails
	}{
		"a token without a rule":             {alone, get("/orders/1", of(corp, read)...), staff},
		"beside a policy that lets it in":    {beside, get("/orders/1", of(corp, read)...), staff},
		"beside a policy that refuses it":    {beside, post("/orders/1", of(corp, read)...), staff},
		"no scopes":                          {alone, get("/orders/1", of(partner, nil)...), []decision.AuditDetails{{IssuerEntry: "partner", Scopes: []string{}}}},
		"a rule that fits":                   {alone, get("/docs/1", of(corp, read)...), nil},
		"no token":                           {alone, get("/orders/1"), nil},
		"a token that is not good":           {alone, get("/orders/1", bearer(corp.Token(start.Add(-2*time.Hour), read))...), nil},
		"a policy in force refuses it first": {beside, get("/orders/1", bearer("a.b.c")...), nil},
	} {
		for range 2 { // the second time, the token is cached without its claims
			v := tt.gate.Judge(tt.give)
			verdicts := v.Audit
			why := v.Why(tt.give)
			if diff := cmp.Diff(tt.want, why.Audited(verdicts)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if again := v.Why(tt.give); v.Forward && again.Audited(verdicts) != nil {
				t.Errorf("%s: the verdict keeps what it was judged by", name)
			}
			if v.Forward && tt.want == nil && v.Explainable() {
				t.Errorf("%s: something is kept", name)
			}
		}
	}
}

// Those who run the guard are told which issuer of which policy does not take a token, or which rule came nearest.
func TestDetailsOfRefusals(t *testing.T) {
	t.Parallel()
	bills := policy.Spec{
		Issuers: []policy.Issuer{partner.Policy("partner"), gatetest.NewIssuer("https://staff.example", "s1").Policy("staff")},
		Rules: []policy.Rule{
			{Name: "bills", Match: []policy.Match{{Paths: []string{"/bills/**"}}}, Allow: &policy.Allow{Authenticated: true}},
			{Name: "staff", Match: []policy.Match{{Paths: []string{"/staff"}}}, Allow: &policy.Allow{Conditions: policy.Conditions{Issuers: []string{"staff"}}}},
		},
	}
	bills.Issuers[0].Audiences = []string{"bills", "https://bills.example"}
	trial := orders()
	trial.Mode, trial.Issuers[0].Name = policy.Audit, "trial"
	g := gate.New(gate.Options{Now: clock})
	revocation := policy.Revocation{Issuer: partner.URL, Entries: []policy.RevocationEntry{{JTI: "lost"}}}
	g.Revoke(revoked.SetOf(revocation))
	g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("bills", bills), gatetest.Policy("orders", orders()), gatetest.Policy("trial", trial)))
	of := func(i *gatetest.Issuer, claims map[string]any) []string { return bearer(i.Token(start, claims)) }
	token := func(url string) []string { return of(gatetest.NewIssuer(url, "k1"), nil) }
	late := partner.Token(start.Add(-2*time.Hour), map[string]any{"aud": "bills"})
	ofPartner := decision.Details{Policy: "shop/bills", IssuerEntry: "partner", Audiences: []string{"bills", "https://bills.example"}}
	ofCorp := decision.Details{Policy: "shop/orders", IssuerEntry: "corp", Audiences: []string{"orders"}}
	nearest := func(d decision.Details, policy, rule, failed, problem string) decision.Details {
		d.NearestPolicy, d.NearestRule, d.Failed = policy, rule, strings.TrimPrefix(failed+": "+problem, ": ")
		return d
	}
	const none, lacks = "no token that the rule may look at", "the token lacks scopes"
	tests := map[string]struct {
		give   *gate.Request
		reason decision.Reason
		want   decision.Details
	}{
		"another audience":             {get("/bills/1", of(partner, map[string]any{"aud": "mine"})...), decision.WrongAudience, ofPartner},
		"expired":                      {get("/bills/1", bearer(late)...), decision.Expired, ofPartner},
		"forged":                       {get("/bills/1", bearer(forged(corp.Token(start, nil)))...), decision.BadSignature, ofCorp},
		"a key that nobody has":        {get("/orders/1", of(gatetest.NewIssuer(corp.URL, "k9"), nil)...), decision.UnknownKey, ofCorp},
		"revoked":                      {get("/bills/1", of(partner, map[string]any{"aud": "bills", "jti": "lost"})...), decision.Revoked, ofPartner},
		"iss with a slash":             {get("/bills/1", token(partner.URL+"/")...), decision.UnknownIssuer, ofPartner},
		"a stranger":                   {get("/bills/1", token("https://evil.example")...), decision.UnknownIssuer, decision.Details{}},
		"no token at all":              {get("/bills/1", bearer("a.b.c")...), decision.Malformed, decision.Details{}},
		"a token is wanted of one":     {get("/orders/1"), decision.NoToken, nearest(ofCorp, "shop/orders", "read", "spec.rules[1].allow.issuers", none)},
		"a token is wanted of another": {get("/staff"), decision.NoToken, nearest(decision.Details{Policy: "shop/bills", IssuerEntry: "staff", Audiences: []string{"orders"}}, "shop/bills", "staff", "spec.rules[1].allow.issuers", none)},
		"a token is wanted of any":     {get("/bills/1"), decision.NoToken, nearest(decision.Details{Policy: "shop/bills"}, "shop/bills", "bills", "spec.rules[0].allow.issuers", none)},
		"no rule for the method":       {post("/orders/1", of(corp, nil)...), decision.NoRule, nearest(decision.Details{}, "shop/orders", "read", "spec.rules[1].match[0].methods", "the match does not fit the request")},
		"a rule of another policy":     {get("/bills/1", of(corp, nil)...), decision.NoRule, nearest(decision.Details{}, "shop/bills", "bills", "spec.rules[0].allow.issuers", "the rule's policy has no issuer that the token is of")},
		"a path that nobody has":       {get("/else", of(corp, nil)...), decision.NoRule, nearest(decision.Details{}, "", "", "", "no rule is for the path")},
		"a scope that is missing":      {get("/orders/1", of(corp, nil)...), decision.InsufficientScope, nearest(decision.Details{}, "", "", "spec.rules[1].allow.scopes", lacks)},
		"a rule that denies":           {get("/orders/admin", of(corp, nil)...), decision.DeniedByRule, decision.Details{}},
		"a path with no one form":      {get("/%2f", of(corp, nil)...), decision.BadPath, decision.Details{}},
		"two tokens":                   {get("/a", append(bearer("a"), bearer("b")...)...), decision.DuplicateAuthorization, decision.Details{}},
		"a request that is let in":     {get("/docs/a"), decision.Allowed, decision.Details{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // the second time, the token is cached without its claims
				v := g.Judge(tt.give)
				why := v.Why(tt.give)
				if diff := cmp.Diff(tt.want, why.Details()); diff != "" || v.Reason != tt.reason {
					t.Errorf("%s, want %s: %s", v.Reason, tt.reason, diff)
				}
			}
		})
	}
}

func post(target string, headers ...string) *gate.Request {
	r := get(target, headers...)
	r.Method = "POST"
	return r
}

// The details of a refusal are those of the snapshot that refused, whatever has come since.
func TestDetailsAreOfTheSnapshotThatRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("orders", orders()))
	r := get("/orders/1/2", bearer(corp.Token(start, nil))...)
	v := g.Judge(r)
	g.Swap(gatetest.Snapshot(t, clock))
	why := v.Why(r)
	if d := why.Details(); d.NearestRule != "read" {
		t.Errorf("got %+v", d)
	}
	var unknown gate.Verdict
	why = unknown.Why(r)
	if diff := cmp.Diff(decision.Details{}, why.Details()); diff != "" {
		t.Error(diff)
	}
}

// broken panics when it is asked for anything but the place of a token.
type broken struct{ decision.Header }

func (b broken) Values(name string) []string {
	if name == "X-Tenant" {
		panic("nobody expected that")
	}
	return b.Header.Values(name)
}

func TestAPanicShowsNoDetails(t *testing.T) {
	t.Parallel()
	spec := orders()
	yes := true
	spec.Rules[1].Match[0].Headers = []policy.HeaderMatch{{Name: "X-Tenant", Exists: &yes}}
	g := newGate(t, gatetest.Policy("orders", spec))
	r := get("/orders/1", bearer(corp.Token(start, nil))...)
	v := g.Judge(r)
	r.Header = broken{r.Header}
	why := v.Why(r)
	if d := why.Details(); v.Reason != decision.NoRule || d.Failed != "" || d.Policy != "" {
		t.Errorf("%s: got %+v", v.Reason, d)
	}
}

// Nothing that a token or a request has is among the details.
func TestDetailsShowNoValue(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("orders", orders()))
	for _, claims := range []map[string]any{{"sub": "canary", "scope": "canary"}, {"aud": "canary"}, {"iss": "canary"}, {"exp": "canary"}} {
		for _, target := range []string{"/orders/canary", "/orders/canary/canary?canary"} {
			r := get(target, append(bearer(corp.Token(start, claims)), "Canary", "canary")...)
			v := g.Judge(r)
			why := v.Why(r)
			if text, err := json.Marshal(why.Details()); err != nil || strings.Contains(strings.ToLower(string(text)), "canary") {
				t.Errorf("%s: %s %v", v.Reason, text, err)
			}
		}
	}
}

// BenchmarkDetails is what a line of the log costs at most that says why no rule of a thousand lets a request in.
func BenchmarkDetails(b *testing.B) {
	g := gate.New(gate.Options{Now: clock})
	g.Swap(gatetest.Snapshot(b, clock, manyRules(1000)...))
	for name, r := range map[string]*gate.Request{
		"a scope is missing": cachedRequest(1000, corp.Token(start, nil)),
		"no path fits":       get("/service-1000", bearer(corp.Token(start, nil))...),
	} {
		b.Run(name, func(b *testing.B) {
			v := g.Judge(r)
			why := v.Why(r)
			b.ReportAllocs()
			for b.Loop() {
				if d := why.Details(); d.Failed == "" {
					b.Fatal("no details")
				}
			}
		})
	}
}
