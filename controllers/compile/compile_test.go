package compile_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// good is a policy that allows one path.
func good(name, app string) *compile.Policy {
	return &compile.Policy{
		Namespace: "shop", Name: name, UID: "uid-" + name, Generation: 1, Created: start,
		Selector: policy.Selector{MatchLabels: map[string]string{"app": app}},
		Spec:     policy.Spec{Rules: []policy.Rule{{Name: "open", Allow: &policy.Allow{Anonymous: true}}}},
	}
}

func pod(name, app string) compile.Workload {
	return compile.Workload{Name: name, UID: "uid-" + name, Labels: map[string]string{"app": app}, Injected: true}
}

func mustCompile(t *testing.T, s compile.Snapshot) compile.Result {
	t.Helper()
	s.Namespace = "shop"
	r, err := compile.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func decode(t *testing.T, b *compile.Bundle) *bundle.Bundle {
	t.Helper()
	out, err := bundle.Decode(b.Encoded)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// program is what the sidecar of a bundle enforces.
func program(t *testing.T, b *compile.Bundle) *decision.Program {
	t.Helper()
	var in []decision.Policy
	for _, p := range decode(t, b).Policies {
		in = append(in, decision.Policy{Namespace: p.Namespace, Name: p.Name, Spec: p.Spec})
	}
	p, err := decision.Compile(in)
	if err != nil {
		t.Fatalf("a bundle does not compile at the sidecar: %v", err)
	}
	return p
}

func problem(t *testing.T, r compile.Result, name string) string {
	t.Helper()
	for _, o := range r.Outcomes {
		if o.Policy.Name == name && o.Problem != nil {
			return o.Problem.Error()
		}
	}
	return ""
}

func TestPodsWithTheSamePoliciesShareTheBytes(t *testing.T) {
	t.Parallel()
	r := mustCompile(t, compile.Snapshot{
		Policies:  []*compile.Policy{good("a", "orders"), good("b", "billing")},
		Workloads: []compile.Workload{pod("o1", "orders"), pod("o2", "orders"), pod("b1", "billing"), pod("n1", "none")},
	})
	if r.Bundles["uid-o1"] != r.Bundles["uid-o2"] {
		t.Error("two pods of one app got two bundles")
	}
	names := func(uid string) (out []string) {
		for _, p := range decode(t, r.Bundles[uid]).Policies {
			out = append(out, p.Name)
		}
		return out
	}
	got := map[string][]string{"o1": names("uid-o1"), "b1": names("uid-b1"), "n1": names("uid-n1")}
	want := map[string][]string{"o1": {"a"}, "b1": {"b"}, "n1": nil}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := len(slices.Collect(r.Outcomes[0].Pods())); got != 2 {
		t.Errorf("policy a selects %d pods, want 2", got)
	}
}

func TestManyPoliciesAreCheckedOnceEach(t *testing.T) {
	t.Parallel()
	const policies, pods = 400, 40
	s := compile.Snapshot{}
	for i := range policies {
		p := good(fmt.Sprintf("p%03d", i), "orders")
		p.Selector = policy.Selector{}
		if i%2 == 0 { // no two pods get the same
			p.Selector.MatchLabels = map[string]string{fmt.Sprintf("l%d", i%pods): ""}
		}
		p.Spec.Issuers = []policy.Issuer{{
			Name: "idp", Issuer: "https://idp.example", AnyAudience: true, Keys: policy.KeySource{JWKSURL: "https://idp.example/jwks"},
		}}
		s.Policies = append(s.Policies, p)
	}
	for i := range pods {
		w := pod(fmt.Sprintf("w%d", i), "orders")
		w.Labels[fmt.Sprintf("l%d", i)] = ""
		s.Workloads = append(s.Workloads, w)
	}
	checked := 0
	s.Check = func(p []compile.Policy) error {
		checked += len(p)
		return compile.Check(p)
	}
	r := mustCompile(t, s)
	if checked > policies {
		t.Errorf("%d policies cost %d checks; one namespace would hold up all others", policies, checked)
	}
	for _, w := range s.Workloads[:2] {
		if n := len(program(t, r.Bundles[w.UID]).Issuers()); n != decision.MaxIssuers {
			t.Errorf("pod %s has %d issuers, want the %d that there is room for", w.Name, n, decision.MaxIssuers)
		}
	}
	if got := problem(t, r, "p399"); !strings.Contains(got, "65 issuers") {
		t.Errorf("problem %q; want the number of issuers", got)
	}
}

func TestTheOrderOfInputsDoesNotMatter(t *testing.T) {
	t.Parallel()
	s := compile.Snapshot{
		Policies:  []*compile.Policy{good("a", "orders"), good("b", "orders"), good("c", "orders")},
		Workloads: []compile.Workload{pod("o1", "orders"), pod("o2", "orders")},
	}
	first := mustCompile(t, s)
	slices.Reverse(s.Policies)
	slices.Reverse(s.Workloads)
	if mustCompile(t, s).Bundles["uid-o1"].Ref.Version != first.Bundles["uid-o1"].Ref.Version {
		t.Error("another order of inputs gives another version")
	}
}

func TestAPolicyThatDoesNotCompile(t *testing.T) {
	t.Parallel()
	bad := func(change func(*compile.Policy)) *compile.Policy {
		p := good("bad", "orders")
		p.Spec.Rules[0].Match = []policy.Match{{Paths: []string{"no slash"}}}
		change(p)
		return p
	}
	deny := policy.Rule{Name: "never", Deny: &policy.Conditions{When: "nonsense("}}
	cases := map[string]struct {
		policy *compile.Policy
		want   decision.Reason // of a request that another policy allows
	}{
		"has allow rules only: the other policy's rules go on": {bad(func(*compile.Policy) {}), decision.Allowed},
		"has a deny rule: everything is refused, since what it denies cannot be known": {
			bad(func(p *compile.Policy) { p.Spec.Rules = append(p.Spec.Rules, deny) }), decision.DeniedByRule,
		},
		"has identity headers that cannot be read: everything is refused": {
			bad(func(p *compile.Policy) {
				p.Spec.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "a..b"}}}
			}), decision.DeniedByRule,
		},
		"cannot be decoded: everything is refused": {
			bad(func(p *compile.Policy) { p.Unreadable = errors.New("spec: is a string; want object") }), decision.DeniedByRule,
		},
		"only audits: nothing is refused": {
			bad(func(p *compile.Policy) { p.Spec.Mode, p.Spec.Rules = policy.Audit, append(p.Spec.Rules, deny) }), decision.Allowed,
		},
		"has a selector that no pod can fit: it guards none": {
			bad(func(p *compile.Policy) {
				p.Selector = policy.Selector{MatchLabels: map[string]string{"app!": "x"}}
				p.Spec.Rules = append(p.Spec.Rules, deny)
			}), decision.Allowed,
		},
		"has a selector that cannot be read: it guards every pod": {
			bad(func(p *compile.Policy) {
				p.Selector = policy.Selector{MatchExpressions: []policy.SelectorRequirement{{Key: "app", Operator: "Near"}}}
				p.Spec.Rules = append(p.Spec.Rules, deny)
			}), decision.DeniedByRule,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := mustCompile(t, compile.Snapshot{
				Policies: []*compile.Policy{c.policy, good("good", "orders")}, Workloads: []compile.Workload{pod("o", "orders")},
			})
			if problem(t, r, "bad") == "" || problem(t, r, "good") != "" {
				t.Errorf("problems: bad %q, good %q; want one of bad alone", problem(t, r, "bad"), problem(t, r, "good"))
			}
			got := program(t, r.Bundles["uid-o"]).Decide(&decision.Request{Method: "GET", Host: "h", Path: "/x", Now: start}, nil)
			if got.Reason != c.want {
				t.Errorf("got %s, want %s", got.Reason, c.want)
			}
		})
	}
}

func TestAStandInKeepsIdentityHeadersFromBeingForged(t *testing.T) {
	t.Parallel()
	p := good("bad", "orders")
	p.Spec.Rules[0].Match = []policy.Match{{Paths: []string{"no slash"}}}
	p.Spec.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}}
	r := mustCompile(t, compile.Snapshot{Policies: []*compile.Policy{p}, Workloads: []compile.Workload{pod("o", "orders")}})
	got := decode(t, r.Bundles["uid-o"]).Policies[0].Spec.Forward
	if d := cmp.Diff(p.Spec.Forward, got); d != "" {
		t.Error(d)
	}
}

func TestTheOldestPoliciesGoFirstWhereAllDoNotFit(t *testing.T) {
	t.Parallel()
	many := func(name string, age time.Duration, n int) *compile.Policy {
		p := good(name, "orders")
		p.Created = start.Add(-age)
		for i := range n {
			p.Spec.Issuers = append(p.Spec.Issuers, policy.Issuer{
				Name: fmt.Sprintf("i%d", i), Issuer: fmt.Sprintf("https://%s.example/%d", name, i), AnyAudience: true,
				Keys: policy.KeySource{JWKSURL: "https://idp.example/jwks"},
			})
		}
		return p
	}
	s := compile.Snapshot{Workloads: []compile.Workload{pod("o", "orders")}}
	for i := range 5 {
		s.Policies = append(s.Policies, many(fmt.Sprintf("p%d", i), time.Duration(i)*time.Hour, 16)) // p4 is the oldest
	}
	r := mustCompile(t, s)
	for i := range 5 {
		name := fmt.Sprintf("p%d", i)
		if got := problem(t, r, name); (got != "") != (i == 0) {
			t.Errorf("problem of %s: %q", name, got)
		}
	}
	program(t, r.Bundles["uid-o"])
}

func TestAPodIsGivenTheKeysOfItsOwnPoliciesOnly(t *testing.T) {
	t.Parallel()
	with := func(name, app string) *compile.Policy {
		p := good(name, app)
		p.Spec.Issuers = []policy.Issuer{{
			Name: "i", Issuer: "https://idp.example", AnyAudience: true,
			Keys: policy.KeySource{SecretRef: &policy.KeyRef{Name: name, Key: "k"}},
		}}
		return p
	}
	r := mustCompile(t, compile.Snapshot{
		Policies:  []*compile.Policy{with("a", "orders"), with("b", "billing")},
		Workloads: []compile.Workload{pod("o", "orders")},
		Keys: map[string]bundle.KeySet{
			"secret:shop/a/k as:Keys": {JWKS: []byte(`{"keys":[]}`)}, "secret:shop/b/k as:Keys": {JWKS: []byte(`{"keys":[]}`)},
		},
	})
	b := r.Bundles["uid-o"]
	if _, ok := decode(t, b).KeySets["secret:shop/b/k as:Keys"]; ok {
		t.Error("a pod got the keys of another pod's policy")
	}
	if !b.Names("secret:shop/a/k as:Keys") || b.Names("secret:shop/b/k as:Keys") || b.Names("") {
		t.Error("the bundle names other key sets than its own")
	}
}
