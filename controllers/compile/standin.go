package compile

import (
	"github.com/bearerguard/bearerguard/api/policy"
)

// refuseAll is the name of the rule of a stand-in that refuses everything; it shows in logs and metrics.
const refuseAll = "policy-is-invalid"

// tooLargeTogether is the name of the only policy where there is no room for one stand-in for each; it shows where refuseAll does.
const tooLargeTogether = "policies-too-large-together"

// standIn replaces a policy that does not compile by one that does and that is never laxer. See the package's doc.
func standIn(p Policy, check func([]Policy) error) Policy {
	refuses := p.Unreadable != nil || hasDeny(p.Spec)
	out := p
	out.Unreadable = nil
	out.Spec = policy.Spec{Mode: mode(p.Spec), Forward: p.Spec.Forward, Rules: rules(refuses)}
	if out.Spec.Forward != nil && check([]Policy{out}) != nil {
		out.Spec = policy.Spec{Mode: mode(p.Spec), Rules: rules(true)}
	}
	return out
}

// mode is Enforce unless the policy surely says Audit.
func mode(s policy.Spec) policy.Mode {
	if s.Mode == policy.Audit {
		return policy.Audit
	}
	return policy.Enforce
}

func hasDeny(s policy.Spec) bool {
	for _, r := range s.Rules {
		if r.Deny != nil {
			return true
		}
	}
	return false
}

func rules(refuses bool) []policy.Rule {
	if !refuses {
		return nil
	}
	return []policy.Rule{{Name: refuseAll, Deny: &policy.Conditions{}}}
}
