package authpolicy

import (
	"strings"
	"testing"

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
