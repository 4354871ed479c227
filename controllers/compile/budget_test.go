package compile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

func TestWhatANamespaceMayHave(t *testing.T) {
	t.Parallel()
	many := func(n int, c compile.Cost) []compile.Cost {
		out := make([]compile.Cost, n)
		for i := range out {
			out[i] = c
		}
		return out
	}
	sources := func(first, n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprint("url:", first+i))
		}
		return out
	}
	one := compile.Cost{Rules: 1, Sources: []string{"url:0"}}
	cases := map[string]struct {
		others []compile.Cost
		was    *compile.Cost
		policy compile.Cost
		want   string
	}{
		"the last policy that has room":        {many(4999, one), nil, one, ""},
		"a policy too many":                    {many(5000, one), nil, one, "has 5001 policies; want at most 5000"},
		"one of too many that stays as it is":  {many(5000, one), &one, one, ""},
		"one of too many that grows":           {many(5000, one), &one, compile.Cost{Rules: 2}, "has 5001 policies"},
		"the last rules that have room":        {many(79, compile.Cost{Rules: 250}), nil, compile.Cost{Rules: 250}, ""},
		"a rule too many":                      {many(79, compile.Cost{Rules: 250}), nil, compile.Cost{Rules: 251}, "have 20001 rules; want at most 20000"},
		"sources that others name, too":        {[]compile.Cost{{Sources: sources(0, 500)}}, nil, compile.Cost{Sources: sources(400, 100)}, ""},
		"a source too many":                    {[]compile.Cost{{Sources: sources(0, 500)}}, nil, compile.Cost{Sources: sources(401, 100)}, "501 sources of keys; want at most 500"},
		"another source where there is none":   {[]compile.Cost{{Sources: sources(0, 600)}}, &one, compile.Cost{Sources: sources(700, 1)}, "601 sources"},
		"a source less where there are plenty": {[]compile.Cost{{Sources: sources(0, 600)}}, &one, compile.Cost{Rules: 1}, ""},
	}
	for name, c := range cases {
		got := ""
		if err := compile.Over(c.others, c.was, c.policy); err != nil {
			got = err.Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAPolicyCostsItsRulesAndEachSourceOnce(t *testing.T) {
	t.Parallel()
	ref := policy.KeyRef{Name: "corp", Key: "k"}
	url := policy.Issuer{Name: "a", Keys: policy.KeySource{JWKSURL: "https://idp.example/jwks"}}
	again := url
	again.Name, again.Decryption = "b", &policy.Decryption{SecretRef: ref}
	c := compile.CostOf("shop", policy.Spec{Issuers: []policy.Issuer{url, again, {Name: "none"}}, Rules: make([]policy.Rule, 3)})
	if got, want := fmt.Sprint(c), "{3 [url:https://idp.example/jwks decryption:shop/corp/k]}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheYoungestBeyondTheBudgetAllowNothing(t *testing.T) {
	t.Parallel()
	s := compile.Snapshot{Check: func([]compile.Policy) error { return nil }, Workloads: []compile.Workload{pod("o", "orders")}}
	for i := range compile.MaxPolicies {
		s.Policies = append(s.Policies, good(fmt.Sprintf("p%d", i), "other"))
	}
	oldest, youngest := good("z", "orders"), good("a", "orders")
	oldest.Created, youngest.Created = start.Add(-time.Hour), start.Add(time.Hour)
	s.Policies = append(s.Policies, oldest, youngest)
	r := mustCompile(t, s)
	if got := problem(t, r, "a"); !strings.Contains(got, "has 5001 policies; want at most 5000") {
		t.Errorf("problem of the youngest: %q", got)
	}
	if got := problem(t, r, "z"); got != "" {
		t.Errorf("problem of the oldest: %q", got)
	}
	for _, p := range decode(t, r.Bundles["uid-o"]).Policies {
		if allows := len(p.Spec.Rules) > 0; allows != (p.Name == "z") {
			t.Errorf("policy %s has %d rules", p.Name, len(p.Spec.Rules))
		}
	}
}

func TestKeysAreWantedForWhatThereIsRoomFor(t *testing.T) {
	t.Parallel()
	s := compile.Snapshot{Namespace: "shop", Check: func([]compile.Policy) error { return nil }}
	for i := range 60 {
		p := good(fmt.Sprintf("p%02d", i), "orders")
		p.Created = start.Add(time.Duration(i) * time.Second)
		for n := range 10 {
			p.Spec.Issuers = append(p.Spec.Issuers, policy.Issuer{Keys: policy.KeySource{JWKSURL: fmt.Sprintf("https://idp.example/%d/%d", i/2*2, n)}})
		}
		s.Policies = append(s.Policies, p)
	}
	var m compile.Memory
	revision := m.Admit(s)
	if n := len(m.Wanted()); n != 30 {
		t.Errorf("keys of %d policies are wanted, want 30, which name all there are", n)
	}
	if m.Admit(s) != revision {
		t.Error("the same policies are another revision")
	}
	for i, p := range s.Policies {
		for n := range p.Spec.Issuers {
			p.Spec.Issuers[n].Keys.JWKSURL += fmt.Sprint("/own", i)
		}
	}
	m = compile.Memory{}
	m.Admit(s)
	sources := map[string]bool{}
	for _, p := range m.Wanted() {
		for _, id := range compile.CostOf("shop", p.Spec).Sources {
			sources[id] = true
		}
	}
	if len(sources) != compile.MaxKeySources {
		t.Errorf("%d sources are wanted", len(sources))
	}
}
