package gate_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/introspect"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// desk is an introspection endpoint: say tells what it answers to a token.
type desk struct {
	*httptest.Server
	calls atomic.Int32
	say   atomic.Pointer[func(token string) (status int, body string)]
	about sync.Map // tokens that it was asked about
}

func newDesk(t *testing.T, say func(string) (int, string)) *desk {
	t.Helper()
	d := &desk{}
	d.say.Store(&say)
	d.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.calls.Add(1)
		raw := r.FormValue("token")
		d.about.Store(raw, true)
		status, body := (*d.say.Load())(raw)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(d.Close)
	return d
}

// active answers that every token is alice's.
func active(string) (int, string) {
	return 200, fmt.Sprintf(`{"active":true,"sub":"alice","aud":"orders","scope":"orders.read","jti":"j1","exp":%d}`, time.Now().Add(time.Hour).Unix())
}

func (d *desk) issuer(name string) policy.Issuer {
	return policy.Issuer{
		Name: name, Issuer: d.URL, Audiences: []string{"orders"},
		Introspection: &policy.Introspection{URL: d.URL + "/introspect", CredentialsSecretRef: policy.SecretRef{Name: "sidecar"}},
	}
}

// asking returns a gate that asks desks, and what loads policies into it.
func asking(t *testing.T, o gate.Options, desks ...*desk) (*gate.Gate, func(...bundle.Object)) {
	t.Helper()
	pool := introspect.NewPool(introspect.Options{})
	var roots strings.Builder
	for _, d := range desks {
		_ = pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw})
	}
	cred := credential.Credential{ClientID: "sidecar", ClientSecret: "x", Rules: credential.Rules{
		CA: roots.String(), AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}}
	g := gate.New(o)
	return g, func(policies ...bundle.Object) {
		t.Helper()
		keys := map[string]bundle.KeySet{}
		for _, p := range policies {
			for _, is := range p.Spec.Issuers {
				if is.Introspection != nil {
					keys[bundle.IntrospectionID(p.Namespace, is)] = bundle.KeySet{JWKS: cred.Encode()}
				}
				if is.Keys.JWKS != "" {
					set, err := keyset.Parse([]byte(is.Keys.JWKS), keyset.Public)
					if err != nil {
						t.Fatal(err)
					}
					keys[bundle.SourceID(p.Namespace, is)] = bundle.KeySet{JWKS: set.Canonical()}
				}
			}
		}
		s, err := gate.NewSnapshot(bundle.Assemble(policies, keys), "test", gate.SnapshotOptions{
			Endpoints: func(asked []gate.Asked) ([]gate.Endpoint, error) {
				var wanted []introspect.Wanted
				for _, a := range asked {
					wanted = append(wanted, introspect.Wanted(a))
				}
				open, err := pool.Open(wanted)
				out := make([]gate.Endpoint, len(open))
				for i, e := range open {
					if e != nil {
						out[i] = e
					}
				}
				return out, err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		g.Swap(s)
	}
}

func reading(issuers ...policy.Issuer) bundle.Object {
	return gatetest.Policy("orders", policy.Spec{
		Mode: policy.Enforce, Issuers: issuers,
		Rules: []policy.Rule{{Name: "read", Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}}}},
	})
}

func bring(raw string) *gate.Request {
	h := http.Header{}
	if raw != "" {
		h.Set("Authorization", "Bearer "+raw)
	}
	return &gate.Request{Method: "GET", Target: "/orders", Host: "orders.example.com", Header: h, Remote: netip.MustParseAddr("192.0.2.1")}
}

func TestAnOpaqueTokenIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, active)
	g, load := asking(t, gate.Options{}, d)
	load(reading(d.issuer("corp")))
	if v := g.Judge(bring("0paque")); v.Forward || v.Reason != decision.IntrospectionUnavailable {
		t.Fatalf("without waiting: %+v", v)
	}
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if v := g.JudgeWaiting(t.Context(), bring("0paque")); !v.Forward || v.Subject != "alice" || v.Issuer != d.URL {
				t.Errorf("%s %v", v.Reason, v.Cause)
			}
		})
	}
	wait.Wait()
	if n := d.calls.Load(); n != 1 {
		t.Errorf("asked %d times; want once", n)
	}
	if v := g.Judge(bring("0paque")); !v.Forward {
		t.Errorf("known by now: %s", v.Reason)
	}
	if n := g.AnswersUsed(); n != 50 {
		t.Errorf("an answer of before was used %d times; want 50: by all but the one who asked, and once more", n)
	}
	load(reading(d.issuer("corp")))
	if v := g.JudgeWaiting(t.Context(), bring("0paque")); !v.Forward || d.calls.Load() != 2 {
		t.Errorf("under a new snapshot it is asked again: %s, %d", v.Reason, d.calls.Load())
	}
	if g.Judge(bring("0paque")); g.AnswersUsed() != 51 {
		t.Errorf("an answer of before was used %d times; want 51", g.AnswersUsed())
	}
}

func TestWhatIsSaidIsUsedForCacheTTLAtMost(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	d := newDesk(t, active)
	g, load := asking(t, gate.Options{Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}, d)
	is := d.issuer("corp")
	is.Introspection.CacheTTL = &policy.Duration{Duration: 20 * time.Second}
	load(reading(is))
	judge := func() decision.Reason { return g.JudgeWaiting(t.Context(), bring("0paque")).Reason }
	if got := judge(); got != decision.Allowed {
		t.Fatal(got)
	}
	inactive := func(string) (int, string) { return 200, `{"active":false}` }
	d.say.Store(&inactive)
	later.Store(int64(19 * time.Second))
	if got := judge(); got != decision.Allowed || d.calls.Load() != 1 {
		t.Errorf("before: %s, asked %d times", got, d.calls.Load())
	}
	later.Store(int64(21 * time.Second))
	if got := judge(); got != decision.Inactive {
		t.Errorf("after: %s", got)
	}
	for range 20 {
		judge()
	}
	if n := d.calls.Load(); n != 2 {
		t.Errorf("a refusal is known for a second: asked %d times", n)
	}
	later.Store(int64(23 * time.Second))
	yes := active
	d.say.Store(&yes)
	if got := judge(); got != decision.Allowed {
		t.Errorf("after a second: %s", got)
	}
}

func TestEachTextHasOneWay(t *testing.T) {
	t.Parallel()
	d := newDesk(t, active)
	local := gatetest.NewIssuer("https://keys.example.com", "k1")
	g, load := asking(t, gate.Options{}, d)
	load(reading(d.issuer("corp"), local.Policy("local")))
	now := time.Now()
	good := local.Token(now, map[string]any{"scope": "orders.read"})
	forged := good[:len(good)-6] + "AAAAAA"
	structured := gatetest.NewIssuer(d.URL, "k2").Token(now, nil)
	for what, c := range map[string]struct {
		raw   string
		want  decision.Reason
		asked bool
	}{
		"a token that keys verify":              {good, decision.Allowed, false},
		"one whose signature is wrong":          {forged, decision.BadSignature, false},
		"one that is cut off":                   {good[:len(good)-60] + ".x", decision.Malformed, false},
		"a JWT of nobody":                       {gatetest.NewIssuer("https://nobody", "k").Token(now, nil), decision.UnknownIssuer, false},
		"a JWT of the issuer that is asked":     {structured, decision.Allowed, true},
		"an opaque token":                       {"0paque-1", decision.Allowed, true},
		"one with dots":                         {"a.b.c", decision.Allowed, true},
		"two tokens in one place":               {"a,b", decision.Malformed, false},
		"what looks like a JWT and is not one":  {"eyJhbGciOiJub25lIn0.e30.x", decision.Unsigned, false},
		"what looks like a padded JWT":          {"eyJhbGciOiJIUzI1NiJ9=.e30.x", decision.Malformed, false},
		"more than 16 KiB":                      {strings.Repeat("x", 17<<10), decision.TokenTooLarge, false},
		"a header whose alg comes twice":        {"eyJhbGciOiJIUzI1NiIsImFsZyI6IkhTMjU2In0.e30.eA", decision.Malformed, false},
		"as long as what is cached, other text": {strings.Repeat("0", len("0paque-1")), decision.Allowed, true},
	} {
		if v := g.JudgeWaiting(t.Context(), bring(c.raw)); v.Reason != c.want {
			t.Errorf("%s: %s %v; want %s", what, v.Reason, v.Cause, c.want)
		}
		if _, asked := d.about.Load(c.raw); asked != c.asked {
			t.Errorf("%s: asked is %v", what, asked)
		}
	}
}

func TestAnIssuerThatDoesNotAnswerIs503(t *testing.T) {
	t.Parallel()
	for what, say := range map[string]func(string) (int, string){
		"500":         func(string) (int, string) { return 500, `{"active":true}` },
		"401":         func(string) (int, string) { return 401, `{"active":true}` },
		"no JSON":     func(string) (int, string) { return 200, `<html>` },
		"active text": func(string) (int, string) { return 200, `{"active":"true"}` },
		"twice":       func(string) (int, string) { return 200, `{"active":false,"active":true}` },
		"too large":   func(string) (int, string) { return 200, `{"active":true,"x":"` + strings.Repeat("x", 65<<10) + `"}` },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, say)
			g, load := asking(t, gate.Options{}, d)
			load(reading(d.issuer("corp")))
			v := g.JudgeWaiting(t.Context(), bring("0paque"))
			if v.Forward || v.Reason != decision.IntrospectionUnavailable || v.Cause == nil || strings.Contains(v.Cause.Detail(), "0paque") {
				t.Errorf("%+v", v)
			}
		})
	}
}

// TestAnEndpointThatCannotBeUsedIsNobodyElses: the other issuers of the workload load, and are asked.
func TestAnEndpointThatCannotBeUsedIsNobodyElses(t *testing.T) {
	t.Parallel()
	d := newDesk(t, active)
	local := gatetest.NewIssuer("https://keys.example.com", "k1")
	broken := d.issuer("broken")
	broken.Issuer, broken.Introspection.URL = "https://broken.example.com", "http://broken.example.com/i"
	broken.From = []policy.TokenLocation{{Header: "X-Broken"}}
	g, load := asking(t, gate.Options{}, d)
	load(reading(d.issuer("corp"), broken, local.Policy("local")))
	if v := g.JudgeWaiting(t.Context(), bring("0paque")); !v.Forward {
		t.Errorf("an issuer that is asked: %s %v", v.Reason, v.Cause)
	}
	if v := g.JudgeWaiting(t.Context(), bring(local.Token(time.Now(), map[string]any{"scope": "orders.read"}))); !v.Forward {
		t.Errorf("an issuer with keys: %s %v", v.Reason, v.Cause)
	}
	r := bring("")
	r.Header = http.Header{"X-Broken": {"0paque"}}
	if v := g.JudgeWaiting(t.Context(), r); v.Reason != decision.IntrospectionUnavailable || !strings.Contains(v.Cause.String(), "introspection.url: scheme is http") {
		t.Errorf("the issuer itself: %s %v", v.Reason, v.Cause)
	}
}

// stub is an endpoint without a network.
type stub struct{ answer func() (token.Answer, error) }

func (s *stub) Ask(context.Context, netip.Addr, string) (token.Answer, error) { return s.answer() }

// asks is an issuer that is asked.
var asks = policy.Issuer{
	Name: "corp", Issuer: corp.URL, Audiences: []string{"orders"},
	Introspection: &policy.Introspection{URL: "https://corp.example.com/i", CredentialsSecretRef: policy.SecretRef{Name: "sidecar"}},
}

// answeredBy compiles a policy whose issuer is asked at a stub. signer has the keys of answers; nil: they are not signed.
func answeredBy(t *testing.T, p bundle.Object, signer *gatetest.Issuer, answer func() (token.Answer, error)) *gate.Snapshot {
	t.Helper()
	is := p.Spec.Issuers[0]
	keys := map[string]bundle.KeySet{bundle.IntrospectionID(p.Namespace, is): {JWKS: credential.Credential{ClientID: "sidecar"}.Encode()}}
	if signer != nil {
		set, err := keyset.Parse([]byte(signer.JWKS()), keyset.Public)
		if err != nil {
			t.Fatal(err)
		}
		keys[bundle.SourceID(p.Namespace, is)] = bundle.KeySet{JWKS: set.Canonical()}
	}
	snapshot, err := gate.NewSnapshot(bundle.Assemble([]bundle.Object{p}, keys), "test", gate.SnapshotOptions{
		Endpoints: func([]gate.Asked) ([]gate.Endpoint, error) { return []gate.Endpoint{&stub{answer}}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func TestAPanicWhileAskingIs503(t *testing.T) {
	t.Parallel()
	g := gate.New(gate.Options{})
	g.Swap(answeredBy(t, reading(asks), nil, func() (token.Answer, error) { panic("of the test") }))
	if v := g.JudgeWaiting(t.Context(), bring("0paque")); v.Forward || v.Reason != decision.IntrospectionUnavailable || !strings.Contains(v.Cause.String(), "inside the sidecar") {
		t.Errorf("%s %v", v.Reason, v.Cause)
	}
}

func TestOneIssuerThatVouchesIsEnough(t *testing.T) {
	t.Parallel()
	yes := newDesk(t, active)
	no := newDesk(t, func(string) (int, string) { return 200, `{"active":false}` })
	down := newDesk(t, func(string) (int, string) { return 503, `` })
	g, load := asking(t, gate.Options{}, yes, no, down)
	load(reading(no.issuer("a"), down.issuer("b"), yes.issuer("c")))
	if v := g.JudgeWaiting(t.Context(), bring("0paque")); !v.Forward {
		t.Errorf("%s %v", v.Reason, v.Cause)
	}
	load(reading(no.issuer("a"), down.issuer("b")))
	if v := g.JudgeWaiting(t.Context(), bring("0paque")); v.Reason != decision.IntrospectionUnavailable {
		t.Errorf("who was not heard may vouch for it: %s", v.Reason)
	}
	load(reading(no.issuer("a")))
	if v := g.JudgeWaiting(t.Context(), bring("0paque")); v.Reason != decision.Inactive {
		t.Errorf("%s", v.Reason)
	}
}

func TestRevocationsAreAskedEachTime(t *testing.T) {
	t.Parallel()
	d := newDesk(t, active)
	g, load := asking(t, gate.Options{}, d)
	load(reading(d.issuer("corp")))
	if v := g.JudgeWaiting(t.Context(), bring("0paque")); !v.Forward {
		t.Fatal(v.Reason)
	}
	g.Revoke(revoked.SetOf(policy.Revocation{Issuer: d.URL, Entries: []policy.RevocationEntry{{JTI: "j1"}}}))
	if v := g.Judge(bring("0paque")); v.Reason != decision.Revoked {
		t.Error(v.Reason)
	}
}

// TestADenyRuleWaitsForTheAnswer: ignoreToken is no way around a deny rule that asks about tokens.
func TestADenyRuleWaitsForTheAnswer(t *testing.T) {
	t.Parallel()
	d := newDesk(t, active)
	g, load := asking(t, gate.Options{}, d)
	p := reading(d.issuer("corp"))
	p.Spec.Rules = []policy.Rule{
		{Name: "open", Allow: &policy.Allow{IgnoreToken: true, Anonymous: true}},
		{Name: "not-alice", Deny: &policy.Conditions{Subjects: []string{"alice"}}},
	}
	load(p)
	if v := g.JudgeWaiting(t.Context(), bring("0paque")); v.Reason != decision.DeniedByRule {
		t.Errorf("%+v", v)
	}
	down := func(string) (int, string) { return 500, "" }
	d.say.Store(&down)
	if v := g.JudgeWaiting(t.Context(), bring("other")); !v.Forward {
		t.Errorf("a token that nobody vouches for is none: %s", v.Reason)
	}
}

func TestAuditPoliciesAskAndChangeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		g, p := gate.New(gate.Options{}), reading(asks)
		p.Spec.Mode = policy.Audit
		g.Swap(answeredBy(t, p, nil, func() (token.Answer, error) {
			asked++
			time.Sleep(time.Second)
			_, body := active("")
			return token.Answer{Body: body}, nil
		}))
		for range 3 {
			if v := g.JudgeWaiting(t.Context(), bring("0paque")); !v.Forward || len(v.Audit) != 0 {
				t.Fatalf("while it is asked: %+v", v)
			}
		}
		time.Sleep(1001 * time.Millisecond)
		if v := g.Judge(bring("0paque")); !v.Forward || len(v.Audit) != 1 || !v.Audit[0].Allowed || asked != 1 {
			t.Errorf("%+v, asked %d times", v.Audit, asked)
		}
	})
}

// TestAFloodOfMadeUpTokens: good tokens stay known, what is remembered has a bound, and who left is not asked for.
func TestAFloodOfMadeUpTokens(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(raw string) (int, string) {
		if raw == "g00d" {
			return active(raw)
		}
		return 200, `{"active":false}`
	})
	g, load := asking(t, gate.Options{}, d)
	load(reading(d.issuer("corp")))
	if v := g.JudgeWaiting(t.Context(), bring("g00d")); !v.Forward {
		t.Fatal(v.Reason)
	}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := range 200 {
				if v := g.JudgeWaiting(t.Context(), bring(fmt.Sprintf("bad-%d-%d", i, n))); v.Reason != decision.Inactive {
					t.Errorf("%s %v", v.Reason, v.Cause)
				}
			}
		})
	}
	wait.Wait()
	if v := g.Judge(bring("g00d")); !v.Forward {
		t.Errorf("the good token was pushed out: %s", v.Reason)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if v := g.JudgeWaiting(gone, bring("late")); v.Reason != decision.IntrospectionUnavailable {
		t.Errorf("who left: %s", v.Reason)
	}
}

// Two issuers may know one text as two tokens. Whose word a rule of either goes by nobody could say.
func TestIssuersThatSayDifferentThingsOfAToken(t *testing.T) {
	t.Parallel()
	says := func(members string) func(string) (int, string) {
		return func(string) (int, string) {
			return 200, fmt.Sprintf(`{"active":true,"aud":"orders","exp":%d,%s}`, time.Now().Add(time.Hour).Unix(), members)
		}
	}
	partner := newDesk(t, says(`"sub":"root","scope":"orders.read orders.admin"`))
	corp := newDesk(t, says(`"sub":"alice","scope":"orders.read","cnf":{"jkt":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}`))
	bound := corp.issuer("corp")
	bound.Proof = &policy.Proof{DPoP: policy.BindingRequired, PublicURLs: []string{public}}
	admin := policy.Rule{Name: "admin", Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.admin"}}}}
	own := gatetest.Policy("b-team", policy.Spec{Issuers: []policy.Issuer{corp.issuer("corp")}, Rules: []policy.Rule{admin}})
	proved := gatetest.Policy("b-team", policy.Spec{Issuers: []policy.Issuer{bound}, Rules: []policy.Rule{admin}})
	other := reading(partner.issuer("partner"))
	other.Name = "a-team"
	for name, c := range map[string]struct {
		policies []bundle.Object
		want     decision.Reason
	}{
		"alone, bound":                  {[]bundle.Object{proved}, decision.BoundAsBearer},
		"beside another that vouches":   {[]bundle.Object{proved, other}, decision.UnknownIssuer},
		"beside one that vouches alone": {[]bundle.Object{own, other}, decision.Allowed}, // by that one's own policy
		"alone, where none is expected": {[]bundle.Object{own}, decision.KeyBound},
	} {
		g, load := asking(t, gate.Options{}, partner, corp)
		load(c.policies...)
		if v := g.JudgeWaiting(t.Context(), bring("0paque")); v.Reason != c.want || strings.HasSuffix(v.Policy, "b-team") {
			t.Errorf("%s: %s %v, want %s", name, v.Reason, v.Cause, c.want)
		}
	}
	corp.say.Store(partner.say.Load())
	g, load := asking(t, gate.Options{}, partner, corp)
	twin := corp.issuer("corp")
	twin.Issuer = partner.URL
	load(gatetest.Policy("b-team", policy.Spec{Issuers: []policy.Issuer{twin}, Rules: []policy.Rule{admin}}), other)
	if v := g.JudgeWaiting(t.Context(), bring("0paque")); !v.Forward {
		t.Errorf("two endpoints that say the same: %s %v", v.Reason, v.Cause)
	}
}

// An answer need not have iss. Rules see who was asked.
func TestRulesSeeTheIssuerThatWasAsked(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(string) (int, string) {
		return 200, fmt.Sprintf(`{"active":true,"sub":"alice","aud":"orders","scope":"orders.read","act":{"sub":"bot"},"exp":%d}`, time.Now().Add(time.Hour).Unix())
	})
	for name, deny := range map[string]policy.Conditions{
		"actors of the issuer": {Actors: &policy.Actors{AnyOf: []string{"bot"}, Issuer: d.URL}},
		"the variable issuer":  {When: "issuer == '" + d.URL + "'"},
	} {
		g, load := asking(t, gate.Options{}, d)
		p := reading(d.issuer("corp"))
		p.Spec.Rules = append(p.Spec.Rules, policy.Rule{Name: "denied", Deny: &deny})
		load(p)
		if v := g.JudgeWaiting(t.Context(), bring("0paque")); v.Reason != decision.DeniedByRule {
			t.Errorf("%s: %s %v", name, v.Reason, v.Cause)
		}
	}
}

// Rules that are not taken open no endpoints, nor end those of the rules in force.
func TestSnapshotsThatAreRefusedOpenNothing(t *testing.T) {
	t.Parallel()
	p := reading(asks, policy.Issuer{Name: "other", Issuer: "https://other.example.com", Audiences: []string{"orders"}, Keys: policy.KeySource{JWKSURL: "https://other.example.com/keys"}})
	keys := map[string]bundle.KeySet{
		bundle.IntrospectionID(p.Namespace, asks):       {JWKS: credential.Credential{ClientID: "sidecar"}.Encode()},
		bundle.SourceID(p.Namespace, p.Spec.Issuers[1]): {JWKS: []byte(`{"keys":`)},
	}
	opened := 0
	_, err := gate.NewSnapshot(bundle.Assemble([]bundle.Object{p}, keys), "test", gate.SnapshotOptions{
		Endpoints: func(all []gate.Asked) ([]gate.Endpoint, error) { opened++; return make([]gate.Endpoint, len(all)), nil },
	})
	if err == nil || !strings.Contains(err.Error(), "issuers[1]: ") || opened > 0 {
		t.Errorf("error %v, opened %d times", err, opened)
	}
}
