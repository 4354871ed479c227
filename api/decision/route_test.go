package decision_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/randompolicy"
)

// FuzzRoutes holds the route index and the matcher equal to a naive walk, and Explain to Decide, over policies of all
// fields; and decisions to be the same for policies and rules in any order.
func FuzzRoutes(f *testing.F) {
	for i := range uint64(48) {
		f.Add(i, uint8(i*5))
	}
	f.Fuzz(func(t *testing.T, seed uint64, rules uint8) {
		rnd := newRand(seed)
		var policies []decision.Policy
		for _, name := range []string{"a", "b", "c"}[:1+rnd.IntN(3)] {
			spec := randompolicy.Spec(rnd, int(rules%32))
			policies = append(policies, decision.Policy{Name: name, Spec: *spec})
		}
		p, err := decision.Compile(policies)
		if err != nil {
			t.Fatal(err)
		}
		q := shuffled(t, rnd.Perm(len(policies)), policies, func(n int) []int { return rnd.Perm(n) })
		for range 20 {
			r := randomRequest(rnd)
			want, got := map[string]bool{}, map[string]bool{}
			for _, policy := range policies {
				for rule, matches := range naive(&policy.Spec, r) {
					want[policy.Name+" "+rule] = matches
				}
			}
			for _, report := range p.Explain(r, nil).Rules {
				got[report.Policy+" "+report.Rule] = report.Matches
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s %s%s %v from %s: which rules match (-naive +index):\n%s", r.Method, r.Host, r.Path, r.Header, r.Remote, diff)
			}
			c, by := randomClaims(t, rnd), decision.IssuerSet(rnd.Uint64N(64))
			for _, s := range [][2]*decision.Subject{{}, {p.Bind(c, by), q.Bind(c, by)}} {
				if diff := cmp.Diff(decide(t, p, r, s[0]), decide(t, q, r, s[1])); diff != "" {
					t.Fatalf("%s %s%s (-sorted +shuffled):\n%s", r.Method, r.Host, r.Path, diff)
				}
			}
			if t.Failed() {
				t.FailNow()
			}
		}
		if p.CloseOnExpiry() != q.CloseOnExpiry() {
			t.Error("CloseOnExpiry depends on the order")
		}
	})
}

// shuffled compiles the policies in the order of perm, their rules in that of rules.
func shuffled(t *testing.T, perm []int, policies []decision.Policy, rules func(int) []int) *decision.Program {
	t.Helper()
	var out []decision.Policy
	for _, i := range perm {
		p := policies[i]
		p.Spec.Rules = nil
		for _, n := range rules(len(policies[i].Spec.Rules)) {
			rule := policies[i].Spec.Rules[n]
			rule.Match = slices.Clone(rule.Match)
			slices.Reverse(rule.Match)
			p.Spec.Rules = append(p.Spec.Rules, rule)
		}
		out = append(out, p)
	}
	program, err := decision.Compile(out)
	if err != nil {
		t.Fatal(err)
	}
	return program
}
