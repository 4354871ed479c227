package decision

import "math/bits"

// Subject is a verified token bound to a Program: its claims and, for each rule, whether the conditions on claims hold.
// It is immutable: safe to cache with the token and to share. A nil *Subject stands for a request without a token.
type Subject struct {
	*settled
	claims Claims // nil in a Subject of a Pool
	kept   []any  // in a Subject of a Pool: the claims that conditions on requests read, in the order of Program.reads
	extent int    // in a Subject of a Pool: the size of the largest value in them
}

// settled is how the conditions on claims alone turned out. It is immutable.
type settled struct {
	program  *Program
	verified IssuerSet
	bound    bool     // made by Bind; false for nobody
	fits     []uint64 // rules whose conditions hold, those on the request and its time aside
	butScope []uint64 // allow rules whose conditions hold but for scopes
	butLogin []uint64 // allow rules whose conditions hold but for how the user logged in, and perhaps scopes; nil: no rule asks
}

// Bind settles the conditions that look at claims alone. The claims must not change afterwards. With an empty
// IssuerSet, no issuer vouches for the claims: no rule sees them, and Enforce policies refuse whatever the Subject asks
// for.
func (p *Program) Bind(claims Claims, verified IssuerSet) *Subject {
	if p == nil {
		return &Subject{settled: &settled{bound: true}}
	}
	if n := len(p.issuers); n < MaxIssuers {
		verified &= 1<<n - 1
	}
	s := &Subject{settled: &settled{program: p, verified: verified, bound: true}, claims: claims}
	if verified == 0 {
		s.claims = nil
	}
	s.settle()
	return s
}

// of reports whether the Subject was bound to the Program. The zero Subject is of none.
func (s *Subject) of(p *Program) bool { return s.settled != nil && s.program == p }

// settle fills in the verdicts.
func (s *Subject) settle() {
	words := len(s.program.deny)
	space := make([]uint64, 3*words)
	s.fits, s.butScope = space[:words:words], space[words:2*words:2*words]
	if s.program.logins {
		s.butLogin = space[2*words:]
	}
	for _, r := range s.program.rules {
		if r == nil {
			continue
		}
		v := r.settle(s.token(r.group), nil)
		if v.fits {
			s.fits[r.number/64] |= 1 << (r.number % 64)
		}
		if v.butScope {
			s.butScope[r.number/64] |= 1 << (r.number % 64)
		}
		if v.butLogin {
			s.butLogin[r.number/64] |= 1 << (r.number % 64)
		}
	}
}

// token returns what the rules of a group see of the token. Nothing, if no issuer of the group vouches for it: a token
// that only an Audit policy knows changes no verdict of the others.
func (s *Subject) token(group int) token {
	if s.verified&s.program.groups[group].issuers == 0 {
		return token{}
	}
	return token{claims: s.claims, kept: s.kept, verified: s.verified}
}

// outcome returns how the rules of a mask turned out, conditions on the request and its time aside.
func (s *settled) outcome(m mask) outcome {
	out := outcome{fits: m.bits & s.fits[m.word], scope: m.bits & s.butScope[m.word]}
	if s.butLogin != nil {
		out.login = m.bits & s.butLogin[m.word]
	}
	return out
}

// Claims returns the claims that were bound; nil for no token, for one that no issuer vouches for, and for a Subject of a
// Pool. The caller must not change them.
func (s *Subject) Claims() Claims {
	if s == nil {
		return nil
	}
	return s.claims
}

// Verified returns the issuers that vouch for the token.
func (s *Subject) Verified() IssuerSet {
	if s == nil || s.settled == nil {
		return 0
	}
	return s.verified
}

// first returns the number of the first rule in a word of rules.
func first(word int, rules uint64) int { return word*64 + bits.TrailingZeros64(rules) }
