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
	verified = p.known(verified)
	if verified == 0 {
		claims = nil
	}
	v := p.settle(claims, verified, nil)
	return &Subject{settled: &v, claims: claims}
}

// of reports whether the Subject was bound to the Program. The zero Subject is of none.
func (s *Subject) of(p *Program) bool { return s.settled != nil && s.program == p }

// known are those of the issuers that the Program has.
func (p *Program) known(verified IssuerSet) IssuerSet {
	if n := len(p.issuers); n < MaxIssuers {
		verified &= 1<<n - 1
	}
	return verified
}

// settle works out the verdicts. Their words are in space, which is all zero, if that has room for them.
func (p *Program) settle(claims Claims, verified IssuerSet, space []uint64) settled {
	words := len(p.deny)
	if len(space) < 3*words {
		space = make([]uint64, 3*words)
	}
	v := settled{program: p, verified: verified, bound: true, fits: space[:words:words], butScope: space[words : 2*words : 2*words]}
	if p.logins {
		v.butLogin = space[2*words : 3*words : 3*words]
	}
	all := token{claims: claims, verified: verified}
	for _, r := range p.rules {
		if r == nil {
			continue
		}
		turned := r.settle(p.sees(r.group, all), nil)
		if turned.fits {
			v.fits[r.number/64] |= 1 << (r.number % 64)
		}
		if turned.butScope {
			v.butScope[r.number/64] |= 1 << (r.number % 64)
		}
		if turned.butLogin {
			v.butLogin[r.number/64] |= 1 << (r.number % 64)
		}
	}
	return v
}

// token returns what the rules of a group see of the token.
func (s *Subject) token(group int) token {
	return s.program.sees(group, token{claims: s.claims, kept: s.kept, verified: s.verified})
}

// sees returns what the rules of a group see of a token. Nothing, if no issuer of the group vouches for it: a token that
// only an Audit policy knows changes no verdict of the others.
func (p *Program) sees(group int, t token) token {
	if t.verified&p.groups[group].issuers == 0 {
		return token{}
	}
	return t
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
