package authpolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// spending is a policy of so many rules that names a source of its own.
func spending(name string, rules int) policyObject {
	spec := fmt.Sprintf(`{"issuers":[{"name":"a","keys":{"jwksURL":"https://%s.test"}}],"rules":[%s]}`,
		name, strings.TrimSuffix(strings.Repeat(`{"name":"r"},`, rules), ","))
	return policyObject{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Generation: 1}, Spec: json.RawMessage(spec)}
}

func newcomer(name string, rules int) compile.Newcomer {
	return compile.Newcomer{Namespace: "shop", Name: name, Cost: compile.Cost{Rules: rules}}
}

// edit is a policy that took so many rules before.
func edit(name string, before, rules int) compile.Newcomer {
	p := newcomer(name, rules)
	p.Was = func() *compile.Cost { return &compile.Cost{Rules: before} }
	return p
}

func TestANamespaceHasRoomForItsBudget(t *testing.T) {
	t.Parallel()
	full := &listed{}
	for i := range 80 {
		full.policies = append(full.policies, spending(fmt.Sprint("p", i), compile.MaxRules/80))
	}
	over := &listed{policies: append(full.policies[:80:80], spending("more", 200))}
	sources := &listed{}
	for i := range compile.MaxKeySources {
		sources.policies = append(sources.policies, spending(fmt.Sprint("p", i), 1))
	}
	another := newcomer("new", 1)
	another.Cost.Sources = []string{"url:https://another.test"}
	for name, tc := range map[string]struct {
		cache *listed
		p     compile.Newcomer
		want  string // part of the error; "": there is room
	}{
		"a rule too many":                        {full, newcomer("new", 1), "have 20001 rules; want at most 20000"},
		"a policy that stays as large as it is":  {full, edit("p0", 250, 250), ""},
		"a policy that becomes smaller":          {full, edit("p0", 250, 249), ""},
		"a policy that grows":                    {full, edit("p0", 250, 251), "have 20001 rules"},
		"a smaller one, where there is too much": {over, edit("more", 200, 100), ""},
		"a growing one, where there is too much": {over, edit("more", 200, 201), "have 20201 rules"},
		"a source too many":                      {sources, another, "name 501 sources of keys; want at most 500"},
		"a cache that does not answer":           {&listed{err: errors.New("not synced"), policies: full.policies}, newcomer("new", 1), ""},
	} {
		n := Neighbours{reader: tc.cache}
		err := n.Room(t.Context(), tc.p)
		if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	var unset Neighbours
	if err := unset.Room(t.Context(), newcomer("new", 1)); err != nil {
		t.Errorf("without a cache: %v", err)
	}
}

// Anybody who reaches the webhook can have policies of any namespace reviewed.
func TestForgedReviewsUseUpNobodysBudget(t *testing.T) {
	t.Parallel()
	n := Neighbours{reader: &listed{policies: []policyObject{spending("old", 100)}}}
	for i := range 2 * compile.MaxRules / 250 {
		_ = n.Room(t.Context(), newcomer(fmt.Sprint("forged", i), 250)) // none of them ever comes
	}
	_ = n.Room(t.Context(), edit("old", 100, compile.MaxRules))
	if err := n.Room(t.Context(), newcomer("new", 250)); err != nil {
		t.Errorf("a policy is refused for others that never came: %v", err)
	}
}

// A burst is let in before the cache shows any of it.
func TestABurstIsHeldByTheCompiler(t *testing.T) {
	t.Parallel()
	n := Neighbours{reader: &listed{}}
	s := compile.Snapshot{Namespace: "shop", Check: func([]compile.Policy) error { return nil }}
	for i := range 120 {
		name := fmt.Sprintf("p%03d", i)
		p := &compile.Policy{Namespace: "shop", Name: name, UID: name}
		p.Spec.Issuers = []policy.Issuer{{Keys: policy.KeySource{JWKSURL: "https://idp.test/" + name}}}
		p.Spec.Rules = make([]policy.Rule, 200)
		if err := n.Room(t.Context(), compile.Newcomer{Namespace: "shop", Name: name, Cost: compile.CostOf("shop", p.Spec)}); err != nil {
			t.Fatal(err)
		}
		s.Policies = append(s.Policies, p)
	}
	var m compile.Memory
	m.Admit(s)
	if got := 200 * len(m.Wanted()); got != compile.MaxRules {
		t.Errorf("the compiler takes %d rules of a burst, want %d", got, compile.MaxRules)
	}
}
