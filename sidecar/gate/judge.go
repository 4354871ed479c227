package gate

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// judge settles a request's fate under one snapshot, in v, which is zero before: what is not said refuses.
func (s *Snapshot) judge(r *Request, g *Gate, v *Verdict) {
	if !methodAllowed(r.Method) {
		v.Reason = decision.BadMethod
		return
	}
	if len(s.policies) == 0 {
		v.Reason = decision.NoPolicy
		return
	}
	if s.program.HasCORS() && r.Header != nil && s.preflight(r, r.Header, v) {
		return
	}
	var sh shape
	if reason := sh.read(r, s.program.PathOptions()); reason != "" {
		v.Reason = reason
		if !s.program.Enforcing() {
			observe(r, v)
			v.Audit = s.program.AuditRefused(nil, reason)
		}
		return
	}
	dr := g.requests.Get().(*decision.Request)
	*dr = decision.Request{
		Method: r.Method, Host: sh.host, Path: sh.path.Match, Readings: sh.path.Readings, RawQuery: sh.query,
		Header: r.Header, Port: r.Port, Remote: r.Remote, Now: r.Time, ClientCert: r.ClientCert,
	}
	if dr.Header == nil {
		dr.Header = noHeader{}
	}
	if dr.Now.IsZero() {
		dr.Now = g.opts.Now()
	}
	v.Path = sh.path.Match
	if s.program.Enforcing() {
		s.enforceOn(dr, &sh, g, v)
	} else {
		observe(r, v)
		v.Audit = s.audits(dr, g, nil)
	}
	*dr = decision.Request{} // nothing of a request is kept
	g.requests.Put(dr)
}

// enforceOn decides a well-formed request.
func (s *Snapshot) enforceOn(r *decision.Request, sh *shape, g *Gate, v *Verdict) {
	if s.program.IgnoresToken(r) {
		s.ignoreToken(r, sh, g, v)
		return
	}
	found, b, reason, lack := s.identify(&s.enforce, r, g)
	var subject *decision.Subject
	if b != nil {
		b.tell(v)
		subject = b.subject
	}
	if reason != "" {
		v.Reason, v.lack = reason, lack
		v.Audit = s.audits(r, g, nil)
		return
	}
	d := s.program.Decide(r, subject)
	v.Reason, v.Policy, v.Rule, v.Scopes = d.Reason, d.Policy, d.Rule, d.Scopes
	if subject == nil {
		d.Audit = nil
	}
	v.Audit = s.audits(r, g, d.Audit)
	if !d.Allowed {
		return
	}
	if found.OK && found.Kind == token.InQuery {
		sh.stripQuery(found.Name)
	}
	v.Host, v.Target, v.MaxBody = sh.hostPort, sh.target(), d.MaxBody
	if b != nil && s.program.CloseOnExpiry() {
		v.Until = b.end()
	}
	s.edit(r, &found, b, &v.Edit)
	v.Forward = true
}

// identify finds the token of a request and verifies it. Without a token, the bearer is nil and the reason empty. Where
// other keys could verify it, they are asked for.
func (s *Snapshot) identify(sd *side, r *decision.Request, g *Gate) (f token.Found, b *bearer, reason decision.Reason, l *lack) {
	f, reason = sd.locator.Find(token.LocateRequest{Header: r.Header, RawQuery: r.RawQuery})
	if reason != "" || !f.OK {
		return f, nil, reason, nil
	}
	b = s.who(sd, f, r.Now)
	if no := b.refused; no != nil {
		return f, b, no.reason, g.lacking(no.unknown)
	}
	// A verified token may have been cached before the revocation's time came: ask every time.
	if s.revoked(b, r.Now, g) {
		return f, b, decision.Revoked, nil
	}
	return f, b, "", nil
}

// revoked reports whether a verified token was taken back, or what it is bound to is gone.
func (s *Snapshot) revoked(b *bearer, now time.Time, g *Gate) bool {
	return s.revocations.Revoked(b.marks, now) || b.bound != nil && (g.gone.Has(b.bound.pod) || g.gone.Has(b.bound.account))
}

// audits returns what the Audit policies would have said. They are decided with the token as their own issuers see it;
// if those do not accept it, that is what they say, unless an Enforce policy did accept it: then what was decided with
// its verdict stands.
func (s *Snapshot) audits(r *decision.Request, g *Gate, decided []decision.AuditResult) []decision.AuditResult {
	if !s.auditing {
		return nil
	}
	_, b, reason, _ := s.identify(&s.audit, r, g)
	switch {
	case reason != "" && decided != nil:
		return decided
	case reason != "":
		return s.program.AuditRefused(r, reason)
	case b == nil:
		return s.program.Decide(r, nil).Audit
	}
	return s.program.Decide(r, b.subject).Audit
}

// observe forwards a request as it came, since only Audit policies select the workload.
func observe(r *Request, v *Verdict) {
	v.Forward, v.Reason, v.Host, v.Target = true, decision.AuditOnly, r.Host, asOrigin(r.Target)
}

// asOrigin cuts scheme and authority off a target and changes nothing else.
func asOrigin(target string) string {
	rest, ok := cutScheme(target)
	if !ok {
		return target
	}
	for i := range len(rest) {
		switch rest[i] {
		case '/':
			return rest[i:]
		case '?':
			return "/" + rest[i:]
		}
	}
	return "/"
}

// edit says what becomes of the header of a request that is forwarded.
func (s *Snapshot) edit(r *decision.Request, found *token.Found, b *bearer, e *Edit) {
	e.names = s.names
	if b == nil {
		return
	}
	e.Set = b.identity()
	switch found.Kind {
	case token.InHeader:
		if s.strip {
			e.strip = found.Name
		}
	case token.InCookie:
		if s.strip {
			e.Replace = []Replacement{{"Cookie", token.StripCookie(r.Header.Values("Cookie"), found.Name)}}
		}
	case token.InWebSocketProtocol:
		const name = "Sec-Websocket-Protocol"
		rest := token.StripProtocol(r.Header.Values(name), found.Name)
		e.Replace = []Replacement{{name, rest}}
		if len(rest) == 0 {
			e.AnswerProtocol = found.Name
		}
	case token.InQuery: // cut out of the target
	}
}
