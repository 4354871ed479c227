package gate

import (
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// ignoreToken decides a request that a rule with ignoreToken fits: nobody looks at its token, so no refusal comes of it.
// Only where a deny rule asks about tokens, a valid one is shown to the deny rules; what is not valid counts as none, since
// who brings it could as well leave it out.
func (s *Snapshot) ignoreToken(r *decision.Request, sh *shape, g *Gate, v *Verdict) {
	at := token.LocateRequest{Header: r.Header, RawQuery: r.RawQuery}
	if _, reason := s.enforce.locator.Find(at); reason == decision.DuplicateAuthorization {
		v.Reason = reason // the message is malformed, whatever the field says
		v.Audit = s.audits(r, g, nil)
		return
	}
	var subject *decision.Subject
	if s.program.DenyAsks() {
		subject = s.valid(r, g)
	}
	d := s.program.Decide(r, subject)
	v.Reason, v.Policy, v.Rule, v.TokenIgnored = d.Reason, d.Policy, d.Rule, d.TokenIgnored
	v.Audit = s.audits(r, g, nil)
	if !d.Allowed {
		return
	}
	s.withhold(at, sh, &v.Edit)
	v.Host, v.Target, v.MaxBody = sh.hostPort, sh.target(), d.MaxBody
	v.Forward = true
}

// valid returns the Subject of the request's token; nil if there is none or it is not valid. Nobody is told of keys that
// are missing.
func (s *Snapshot) valid(r *decision.Request, g *Gate) *decision.Subject {
	f, reason := s.enforce.locator.Find(token.LocateRequest{Header: r.Header, RawQuery: r.RawQuery})
	if reason != "" || !f.OK {
		return nil
	}
	b := s.who(&s.enforce, f, r.Now)
	if b.refused != nil || s.revoked(b, r.Now, g) {
		return nil
	}
	return b.subject
}

// withhold cuts out tokens that nobody looked at: what is never forwarded, and everything if a policy says Strip.
func (s *Snapshot) withhold(r token.LocateRequest, sh *shape, e *Edit) {
	e.names = s.names
	for i := range s.enforce.locator.Places() {
		f := s.enforce.locator.At(i, r)
		if !f.OK {
			continue
		}
		switch f.Kind {
		case token.InQuery:
			sh.stripQuery(f.Name)
		case token.InWebSocketProtocol:
			rest := token.StripProtocol(e.values(r, "Sec-Websocket-Protocol"), f.Name)
			e.replace("Sec-Websocket-Protocol", rest)
			if len(rest) == 0 {
				e.AnswerProtocol = f.Name
			}
		case token.InCookie:
			if s.strip {
				e.replace("Cookie", token.StripCookie(e.values(r, "Cookie"), f.Name))
			}
		case token.InHeader:
			if s.strip {
				e.replace(f.Name, nil)
			}
		}
	}
}

// values returns what becomes of a field so far.
func (e *Edit) values(r token.LocateRequest, name string) []string {
	for i := range e.Replace {
		if e.Replace[i].Name == name {
			return e.Replace[i].Values
		}
	}
	return r.Header.Values(name)
}

// replace gives a field new values.
func (e *Edit) replace(name string, values []string) {
	for i := range e.Replace {
		if e.Replace[i].Name == name {
			e.Replace[i].Values = values
			return
		}
	}
	e.Replace = append(e.Replace, Replacement{name, values})
}
