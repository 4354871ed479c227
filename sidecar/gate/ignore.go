package gate

import (
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// ignoreToken decides a request that a rule with ignoreToken fits: nobody looks at its token, so no refusal comes of it.
// Only where a deny rule asks about tokens, a valid one is shown to the deny rules; what is not valid counts as none, since
// who brings it could as well leave it out.
func (s *Snapshot) ignoreToken(r *decision.Request, sh *shape, g *Gate, v *Verdict) {
	at := locate(r)
	if _, no := s.enforce.locator.Find(at); no.Reason == decision.DuplicateAuthorization {
		v.Reason, v.Cause = no.Reason, no.Cause // the message is malformed, whatever the field says
		v.Challenge = s.offer(s.challenge(r, &decision.Decision{Reason: no.Reason}), token.Found{})
		v.Audit = s.audits(r, g, nil)
		return
	}
	var subject *decision.Subject
	if s.program.DenyAsks() {
		var lack *lack
		if subject, lack = s.valid(r, g); lack != nil { // a deny rule may fit once the issuer has told
			v.Reason, v.lack = decision.IntrospectionUnavailable, lack
			return
		}
	}
	d := s.program.Decide(r, subject)
	v.Reason, v.Policy, v.Rule, v.TokenIgnored = d.Reason, d.Policy, d.Rule, d.TokenIgnored
	v.Audit = s.audits(r, g, nil)
	if !d.Allowed {
		v.Challenge = s.offer(s.challenge(r, &d), token.Found{})
		return
	}
	s.withhold(at, sh, &v.Edit)
	v.Host, v.Target, v.MaxBody = sh.hostPort, sh.target(), d.MaxBody
	v.Forward = true
}

// valid returns the Subject of the request's token; nil if there is none or it is not valid. Nobody is told of keys that
// are missing. What the issuer has to be asked about is neither yet.
func (s *Snapshot) valid(r *decision.Request, g *Gate) (*decision.Subject, *lack) {
	f, no := s.enforce.locator.Find(locate(r))
	if no.Refused() || !f.OK {
		return nil, nil
	}
	b := s.who(&s.enforce, f, r)
	switch {
	case b.refused != nil && b.refused.question != nil:
		return nil, g.lackOf(b.refused)
	case b.refused != nil, s.revoked(b, r.Now, g).Refused():
		return nil, nil
	}
	if f.DPoP || b.bound != nil {
		proved, no := s.prove(&s.enforce, r, f, b, nil)
		switch {
		case proved.refused != nil && proved.refused.question != nil:
			return nil, g.lackOf(proved.refused)
		case no.Refused():
			return nil, nil
		}
		b = proved
	}
	return b.subject, nil
}

// withhold cuts out tokens that nobody looked at: what is never forwarded, and everything if a policy says Strip.
func (s *Snapshot) withhold(r token.LocateRequest, sh *shape, e *Edit) {
	e.names = s.names
	for i := range s.enforce.locator.Places() {
		if f := s.enforce.locator.At(i, r); f.OK {
			s.cut(r, f, sh, e)
		}
	}
}
