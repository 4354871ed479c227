package gate

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// judge settles a request's fate under one snapshot.
func (s *Snapshot) judge(r *Request, g *Gate) Verdict {
	now := g.opts.Now()
	if !methodAllowed(r.Method) {
		return Verdict{Reason: decision.BadMethod}
	}
	if s.policies == 0 {
		return Verdict{Reason: decision.NoPolicy}
	}
	sh, reason := shapeOf(r, s.program.EncodedSlash())
	if reason == "" && r.Header != nil && len(r.Header.Values("Authorization")) > 1 {
		reason = decision.DuplicateAuthorization
	}
	if reason != "" {
		if s.program.Enforcing() {
			return Verdict{Reason: reason, Path: sh.path}
		}
		return s.observe(r, sh, reason)
	}
	dr := decision.Request{
		Method: r.Method, Host: sh.host, Path: sh.path, RawQuery: sh.query,
		Header: r.Header, Port: r.Port, Remote: r.Remote, Now: now,
	}
	if !s.program.Enforcing() {
		v := s.observe(r, sh, "")
		v.Audit = s.audits(&dr, g, nil)
		return v
	}
	return s.enforceOn(&dr, &sh, g)
}

// enforceOn decides a well-formed request.
func (s *Snapshot) enforceOn(r *decision.Request, sh *shape, g *Gate) Verdict {
	v := Verdict{Path: sh.path}
	found, b, reason, asked := s.identify(&s.enforce, r, g)
	if b != nil {
		v.KeyID, v.Issuer, v.Subject = b.keyID, b.verified.Issuer, b.verified.Subject
	}
	if reason != "" {
		v.Reason, v.KeysAsked = reason, asked
		v.Audit = s.audits(r, g, nil)
		return v
	}
	var subject *decision.Subject
	if b != nil {
		subject = b.subject
	}
	d := s.program.Decide(r, subject)
	v.Forward, v.Reason, v.Policy, v.Rule, v.Scopes = d.Allowed, d.Reason, d.Policy, d.Rule, d.Scopes
	if subject == nil {
		d.Audit = nil
	}
	v.Audit = s.audits(r, g, d.Audit)
	if !v.Forward {
		return v
	}
	v.Host = sh.hostPort
	v.Edit = s.edit(r, found, b)
	if found.OK && found.Kind == token.InQuery {
		sh.query = token.StripQuery(sh.query, found.Name)
		sh.hasQuery = sh.query != ""
	}
	v.Target = sh.target()
	return v
}

// identify finds the token of a request and verifies it. Without a token, the bearer is nil and the reason empty. Where a
// key was unknown, asked is when the keys were last asked for.
func (s *Snapshot) identify(sd *side, r *decision.Request, g *Gate) (f token.Found, b *bearer, reason decision.Reason, asked time.Time) {
	f, reason = sd.locator.Find(token.LocateRequest{Header: r.Header, RawQuery: r.RawQuery})
	if reason != "" || !f.OK {
		return f, nil, reason, asked
	}
	b = s.who(sd, f, r.Now)
	if b.reason != "" {
		return f, b, b.reason, g.report(b.unknown, r.Now)
	}
	// A verified token may have been cached before the revocation's time came: ask every time.
	if s.revocations.Revoked(&b.verified, r.Now) {
		return f, b, decision.Revoked, asked
	}
	return f, b, "", asked
}

// audits returns what the Audit policies would have said. They are decided with the token as their own issuers see it;
// if those do not accept it, that is what they say, unless an Enforce policy did accept it: then what was decided with
// its verdict stands.
func (s *Snapshot) audits(r *decision.Request, g *Gate, decided []decision.AuditResult) []decision.AuditResult {
	if len(s.auditing) == 0 {
		return nil
	}
	_, b, reason, _ := s.identify(&s.audit, r, g)
	switch {
	case reason != "" && decided != nil:
		return decided
	case reason != "":
		return s.allSay(reason)
	case b == nil:
		return s.program.Decide(r, nil).Audit
	}
	return s.program.Decide(r, b.subject).Audit
}

func (s *Snapshot) allSay(reason decision.Reason) []decision.AuditResult {
	out := make([]decision.AuditResult, 0, len(s.auditing))
	for _, id := range s.auditing {
		out = append(out, decision.AuditResult{Policy: id, Reason: reason})
	}
	return out
}

// observe forwards a request as it came, since only Audit policies select the workload.
func (s *Snapshot) observe(r *Request, sh shape, reason decision.Reason) Verdict {
	v := Verdict{Forward: true, Reason: decision.AuditOnly, Host: r.Host, Target: asOrigin(r.Target), Path: sh.path}
	if reason != "" {
		v.Audit = s.allSay(reason)
	}
	return v
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
func (s *Snapshot) edit(r *decision.Request, found token.Found, b *bearer) Edit {
	e := Edit{names: s.names}
	if b == nil {
		return e
	}
	e.Set = b.fields
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
	return e
}
