package decision

import (
	"fmt"
)

// rule is a compiled policy.Rule.
type rule struct {
	policy, name string
	path         string // of the rule in its policy: "spec.rules[3]"
	audit        bool
	group        int // in Program.groups
	number       int // in Program.rules

	entries []*entry

	deny      bool
	anonymous bool
	trusted   IssuerSet // the issuers of the rule's policy
	issuers   IssuerSet // the issuers that the rule asks for
	narrowed  bool      // issuers were given
	subjects  []string
	scopes    []string
	claims    []claimCondition
	when      *expression // nil: none
}

// dynamic reports whether the rule has a condition that looks at the request, so that it cannot be settled in Bind.
func (r *rule) dynamic() bool { return r.when != nil && r.when.readsRequest }

// conditions returns the field path of the rule's conditions.
func (r *rule) conditions() string {
	if r.deny {
		return r.path + ".deny"
	}
	return r.path + ".allow"
}

// token is what a rule sees of a request's token. The zero token is none.
type token struct {
	claims   Claims
	verified IssuerSet // empty: no token
}

func (t token) issuer() string { return t.claims.text("iss") }

// seen returns what the rule may see of a token: an allow rule trusts the issuers of its own policy alone, since what
// another team trusts must not open anything here. A deny rule takes every verified token into account.
func (r *rule) seen(t token) token {
	if r.deny || t.verified&r.trusted != 0 {
		return t
	}
	return token{}
}

// verdict is how a rule's conditions turned out, its condition on the request aside.
type verdict struct {
	fits    bool     // all conditions hold
	lacking []string // scopes: without them, all conditions would hold
}

// settle evaluates the conditions that look at the token alone. With a report, it evaluates all of them and adds each
// to it; without, it stops at the first that decides.
func (r *rule) settle(t token, report *[]ConditionReport) verdict {
	t = r.seen(t)
	others := true
	check := func(holds bool, field, problem string) {
		others = others && holds
		if report != nil {
			*report = append(*report, newConditionReport(r.conditions()+field, holds, problem))
		}
	}
	present := t.verified != 0
	switch {
	case !r.deny && !r.anonymous:
		check(t.verified&r.issuers != 0, ".issuers", "no token that one of these issuers of the policy signed")
	case r.narrowed:
		check(t.verified&r.issuers != 0, ".issuers", "no token of these issuers")
	}
	if r.subjects != nil {
		check(present && r.hasSubject(t), ".subjects", "sub is none of these")
	}
	for i := range r.claims {
		if !others && report == nil {
			return verdict{}
		}
		c := &r.claims[i]
		check(present && c.holds(t.claims), fmtIndex(report, i), "the claim does not satisfy "+c.op.String())
	}
	if r.when != nil && !r.when.readsRequest && (others || report != nil) {
		holds, problem := r.decideWhen(&activation{token: t})
		check(holds, ".when", problem)
	}
	return r.settleScopes(t, others, check)
}

// settleScopes checks the scopes, given whether all other conditions hold.
func (r *rule) settleScopes(t token, others bool, check func(bool, string, string)) verdict {
	if r.scopes == nil {
		return verdict{fits: others}
	}
	var lacking []string
	if t.verified == 0 {
		lacking = r.scopes
	} else {
		lacking = scopesLacking(r.scopes, t.claims)
	}
	check(len(lacking) == 0, ".scopes", "the token lacks scopes")
	if len(lacking) == 0 {
		return verdict{fits: others}
	}
	if others && t.verified != 0 && !r.deny {
		return verdict{lacking: lacking}
	}
	return verdict{}
}

// decideWhen evaluates the CEL condition. What cannot be evaluated does not fit an allow rule and fits a deny rule.
func (r *rule) decideWhen(a *activation) (holds bool, problem string) {
	holds, err := r.when.eval(a)
	if err != nil {
		return r.deny, "the expression cannot be evaluated: a missing claim, a wrong type, or too costly"
	}
	return holds, "the expression is false"
}

func (r *rule) hasSubject(t token) bool {
	sub, ok := t.claims["sub"].(string)
	if !ok {
		return false
	}
	for _, s := range r.subjects {
		if s == sub {
			return true
		}
	}
	return false
}

// fmtIndex returns the field of a claim condition, if anybody wants to know.
func fmtIndex(report *[]ConditionReport, i int) string {
	if report == nil {
		return ""
	}
	return fmt.Sprintf(".claims[%d]", i)
}
