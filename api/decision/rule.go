package decision

import (
	"fmt"
	"time"
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
	ignores   bool      // the token: the rule never sees one
	trusted   IssuerSet // the issuers of the rule's policy
	issuers   IssuerSet // the issuers that the rule asks for
	narrowed  bool      // issuers were given
	subjects  []string
	accounts  *accounts  // nil: none are asked for
	workloads *workloads // nil: none are asked for
	actors    *actors    // nil: none are asked for
	scopes    []string
	claims    []claimCondition
	when      *expression // nil: none
	login     *login      // nil: no matter how the user logged in
	maxBody   int64       // bytes; 0: no limit
}

// dynamic reports whether the rule has a condition that looks at the request or its time, so that it cannot be settled in
// Bind.
func (r *rule) dynamic() bool { return r.asksRequest() || r.login.ages() }

// asksRequest reports whether the condition in CEL looks at the request.
func (r *rule) asksRequest() bool { return r.when != nil && r.when.readsRequest }

// asksToken reports whether it makes a difference to the rule's conditions who brings the request.
func (r *rule) asksToken() bool {
	return r.narrowed || r.subjects != nil || r.accounts != nil || r.workloads != nil || r.actors != nil || r.scopes != nil || r.claims != nil || r.when != nil && r.when.readsToken
}

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
	kept     []any     // instead of claims in a Subject of a Pool
	verified IssuerSet // empty: no token
}

// seen returns what the rule may see of a token: an allow rule trusts the issuers of its own policy alone, since what
// another team trusts must not open anything here. A deny rule takes every verified token into account.
func (r *rule) seen(t token) token {
	if r.ignores {
		return token{}
	}
	if r.deny || t.verified&r.trusted != 0 {
		return t
	}
	return token{}
}

// verdict is how a rule's conditions turned out, those on the request and its time aside.
type verdict struct {
	fits     bool // all conditions hold
	butScope bool // all conditions hold but for scopes
	butLogin bool // all conditions hold but for how the user logged in, and perhaps scopes
}

// inquiry is about all conditions of a rule.
type inquiry struct {
	now     time.Time // of the request
	reports []ConditionReport
}

// settle evaluates the conditions that look at the token alone. With an inquiry, it evaluates all of them, those on time
// too, and adds each to it; without, it stops where the outcome is clear.
func (r *rule) settle(t token, asked *inquiry) verdict {
	s := settlement{rule: r, token: r.seen(t), foreign: t.verified != 0, asked: asked, holds: true}
	s.checkIssuers()
	if r.subjects != nil {
		s.check(".subjects", s.present() && r.hasSubject(s.token), "sub is none of these")
	}
	if r.accounts != nil {
		s.check(".serviceAccounts", r.accounts.hold(s.token), "the token is for none of these service accounts of this cluster")
	}
	if r.workloads != nil {
		s.check(".spiffeIDs", r.workloads.hold(s.token), "the token is for none of these SPIFFE IDs")
	}
	if r.actors != nil {
		s.check(".actors", s.present() && r.actors.hold(s.token.claims), "whoever uses the token is none of these")
	}
	for i := range r.claims {
		if s.clear() {
			return verdict{}
		}
		s.checkClaim(i)
	}
	if s.clear() {
		return verdict{}
	}
	if r.when != nil && !r.when.readsRequest {
		holds, problem := r.decideWhen(&activation{token: s.token})
		s.check(".when", holds, problem)
	}
	return s.checkRest()
}

// settlement is a rule's conditions while they are evaluated.
type settlement struct {
	rule    *rule
	token   token
	asked   *inquiry // nil: nobody asks
	foreign bool     // there is a token, whether or not the rule sees it
	holds   bool     // all conditions so far
}

func (s *settlement) present() bool { return s.token.verified != 0 }

// clear reports whether the rule cannot fit any more and nobody asks why.
func (s *settlement) clear() bool { return !s.holds && s.asked == nil }

func (s *settlement) check(field string, holds bool, problem string) {
	s.holds = s.holds && holds
	if s.asked != nil {
		switch {
		case s.present() || field == ".when":
		case s.foreign:
			problem = "the rule's policy has no issuer that the token is of"
		default:
			problem = "no token that the rule may look at"
		}
		s.asked.reports = append(s.asked.reports, newConditionReport(s.rule.conditions()+field, holds, problem))
	}
}

func (s *settlement) checkIssuers() {
	if s.rule.narrowed || !s.rule.deny && !s.rule.anonymous {
		s.check(".issuers", s.token.verified&s.rule.issuers != 0, "the token is of none of these issuers")
	}
}

func (s *settlement) checkClaim(i int) {
	c := &s.rule.claims[i]
	field, problem := "", ""
	if s.asked != nil {
		field, problem = fmt.Sprintf(".claims[%d]", i), "the claim "+c.path.String()+" does not satisfy "+c.op.String()
	}
	s.check(field, s.present() && c.holds(s.token.claims), problem)
}

// checkRest comes last: of what a client can get another token for, it must be known whether all else holds.
func (s *settlement) checkRest() verdict {
	others := s.holds
	login := s.checkLogin()
	if scopes := s.rule.scopes; scopes != nil {
		s.check(".scopes", s.present() && hasScopes(scopes, s.token.claims), "the token lacks scopes")
	}
	mendable := others && !s.holds && s.present() && !s.rule.deny
	return verdict{fits: s.holds, butScope: mendable && login, butLogin: mendable && !login}
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
