package authpolicy

import (
	"errors"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// A policy that was stored before an allow rule had to say whom it allows is in force as it was meant, and its status says so.
func TestOldRulesThatSayNothingOfWhomTheyAllow(t *testing.T) {
	t.Parallel()
	p := decodePolicy(&policyObject{Spec: []byte(`{"rules":[{"name":"a","deny":{}},{"name":"b","allow":{}}]}`)})
	if p.Unreadable != nil || !p.Spec.Rules[1].Allow.Authenticated {
		t.Fatalf("it is not read as any valid token: %v", p.Unreadable)
	}
	in := input(compile.Outcome{Policy: p}, nil, nil, nil)
	if want := "spec.rules[1].allow: says nothing of who is allowed"; !strings.HasPrefix(in.Note, want) {
		t.Errorf("note %q, want %q", in.Note, want)
	}
}

// Of two policies for the same pods with metadata at one path, the second by name hears that its own are never told.
func TestTwoResourcesAtOnePath(t *testing.T) {
	t.Parallel()
	both, one := &compile.Group{}, &compile.Group{}
	of := func(name, url string, selected ...*compile.Group) compile.Outcome {
		return compile.Outcome{Policy: &compile.Policy{Name: name, Spec: policy.Spec{Resource: &policy.Resource{URL: url}}}, Selected: selected}
	}
	broken := of("a", "https://x.example/mcp", both)
	broken.Problem = errors.New("no")
	all := []compile.Outcome{
		broken, of("b", "https://x.example/mcp", both), of("c", "https://x.example/mcp", one), of("d", "https://y.example/mcp", one, both),
		of("e", "https://y.example/other", both), {Policy: &compile.Policy{Name: "f"}, Selected: []*compile.Group{both}},
	}
	want := []string{"", "", "", "policy b", "", ""}
	for i, o := range all {
		if got := hiddenBy(o, all); (got == "") != (want[i] == "") || !strings.Contains(got, want[i]) {
			t.Errorf("%s: %q, want %q", o.Policy.Name, got, want[i])
		}
	}
}
