package gate

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/dpop"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// judge settles a request's fate under one snapshot, in v, which is zero before: what is not said refuses. What goes beyond the budget
// is left to who is asked for v.lack.
func (s *Snapshot) judge(r *Request, g *Gate, b decision.Budget, v *Verdict) {
	if why := refuseMethod(r.Method); why != nil {
		v.Reason, v.Cause = decision.BadMethod, why
		return
	}
	if len(s.policies) == 0 {
		v.Reason = decision.NoPolicy
		return
	}
	var sh shape
	no := sh.read(r, s.program.PathOptions())
	if !no.Refused() && s.describe(r, &sh, v) {
		return
	}
	if s.program.HasCORS() && r.Header != nil && s.preflight(r, r.Header, v) {
		return
	}
	if no.Refused() {
		v.Reason, v.Cause = no.Reason, no.Cause
		if !s.program.Enforcing() {
			observe(r, v)
			v.Audit = s.program.AuditRefused(nil, no)
		}
		return
	}
	dr := g.requests.Get().(*decision.Request)
	*dr = newRequest(r, &sh, r.Time)
	dr.Budget, dr.Proved = b, r.proved
	if dr.Now.IsZero() {
		dr.Now = g.opts.Now()
	}
	v.Path = sh.path.Match
	s.judgeWhole(r, dr, &sh, g, v)
	*dr = decision.Request{} // nothing of a request is kept
	g.requests.Put(dr)
}

// judgeWhole settles the fate of a well-formed request.
func (s *Snapshot) judgeWhole(r *Request, dr *decision.Request, sh *shape, g *Gate, v *Verdict) {
	switch {
	case s.readCall(r, dr, v):
	case s.program.Enforcing():
		s.enforceOn(dr, sh, g, v)
		settleCall(dr, v)
	default:
		observe(r, v)
		v.Audit = s.audits(dr, g, nil)
		settleCall(dr, v)
	}
	if dr.Budget.Over() || dr.Budget.Spared() && v.WantBody == 0 {
		v.lackTime(dr)
	}
	if r.Trace != nil {
		s.trace(r.Trace, dr, v)
	}
	v.remember(s, dr.Now)
}

// newRequest is a well-formed request as rules look at it.
func newRequest(r *Request, sh *shape, now time.Time) decision.Request {
	out := decision.Request{
		Method: r.Method, Host: sh.host, Path: sh.path.Match, Readings: sh.path.Readings, RawQuery: sh.query,
		Header: r.Header, Port: r.Port, Remote: r.Remote, Now: now, ClientCert: r.ClientCert, Target: r.Target,
	}
	if out.Header == nil {
		out.Header = noHeader{}
	}
	return out
}

// enforceOn decides a well-formed request.
func (s *Snapshot) enforceOn(r *decision.Request, sh *shape, g *Gate, v *Verdict) {
	if s.program.IgnoresToken(r) {
		s.ignoreToken(r, sh, g, v)
		return
	}
	found, b, no, lack := s.identify(&s.enforce, r, g)
	if r.Budget.Over() {
		return
	}
	v.proved = r.Proved
	if b != nil {
		b.tell(v)
	}
	if found.DPoP && b != nil && b.refused == nil {
		s.giveNonce(b, r.Now, v)
	}
	if no.Refused() {
		v.Reason, v.Cause, v.lack = no.Reason, no.Cause, lack
		v.Challenge = s.offer(s.challenge(r, &decision.Decision{Reason: no.Reason}), found)
		v.judged = judged{under: s, at: r.Now, issuer: b.refuser()}
		v.Audit = s.audits(r, g, nil)
		return
	}
	s.enforceRules(r, sh, g, v, found, b)
}

// enforceRules decides a request by the rules, whose token, if it has one, is good.
func (s *Snapshot) enforceRules(r *decision.Request, sh *shape, g *Gate, v *Verdict, found token.Found, b *bearer) {
	var subject *decision.Subject
	if b != nil {
		subject = b.subject
	}
	d := s.decide(r, subject)
	if d.Reason == decision.NoToken {
		v.Cause = s.enforce.locator.Missing(locate(r))
	}
	v.Reason, v.Policy, v.Rule = d.Reason, d.Policy, d.Rule
	if !d.Allowed {
		v.Challenge = s.offer(s.challenge(r, &d), found)
	}
	if subject == nil {
		d.Audit = nil
	}
	v.Audit = s.audits(r, g, d.Audit)
	if !d.Allowed {
		v.judged = judged{under: s, at: r.Now}
		return
	}
	v.MaxBody = d.MaxBody
	if b != nil && s.program.CloseOnExpiry() {
		v.Until = b.end()
	}
	s.edit(r, found, sh, &v.Edit)
	if b != nil {
		v.Edit.Set = b.identity()
	}
	v.Host, v.Target = sh.hostPort, sh.target()
	v.Forward = true
}

// identify finds the token of a request and verifies it. Without a token, the bearer is nil and nothing is refused. Where
// other keys could verify it, they are asked for.
func (s *Snapshot) identify(sd *side, r *decision.Request, g *Gate) (f token.Found, b *bearer, no decision.Refusal, l *lack) {
	f, no = sd.locator.Find(locate(r))
	if no.Refused() || !f.OK {
		return f, nil, no, nil
	}
	b = s.who(sd, f, r)
	if no := b.refused; no != nil {
		return f, b, no.refusal, g.lackOf(no)
	}
	// A verified token may have been cached before the revocation's time came: ask every time.
	if no = s.revoked(b, r.Now, g); !no.Refused() && (f.DPoP || b.bound != nil) {
		if b, no = s.prove(sd, r, f, b, g.remembers(sd, r)); b.refused != nil {
			return f, b, no, g.lackOf(b.refused)
		}
	}
	return f, b, no, nil
}

// remembers returns what remembers the proofs of a side. Audit policies have none: the proof is the same that is being
// remembered for the others, and what they say changes nothing. A request whose body is still to be read is judged again
// with the same proof, and is not let in before.
func (g *Gate) remembers(sd *side, r *decision.Request) *dpop.Memory {
	if sd.audit || r.Call == decision.Unread || r.Proved {
		return nil
	}
	return g.proofs
}

// locate is what a token is looked for in.
func locate(r *decision.Request) token.LocateRequest {
	return token.LocateRequest{Header: r.Header, RawQuery: r.RawQuery}
}

// revoked refuses a verified token that was taken back, or what it is bound to is gone.
func (s *Snapshot) revoked(b *bearer, now time.Time, g *Gate) decision.Refusal {
	switch {
	case b.bound == nil:
	case g.gone.Has(b.bound.pod):
		return decision.Refusal{Reason: decision.Revoked, Cause: decision.Because("the pod that it is bound to has been deleted")}
	case g.gone.Has(b.bound.account):
		return decision.Refusal{Reason: decision.Revoked, Cause: decision.Because("the service account that it is of has been deleted")}
	}
	return token.Revoked(g.revoked.Load(), &b.marks, now)
}

// audits returns what the Audit policies would have said. They are decided with the token as their own issuers see it;
// if those do not accept it, that is what they say, unless an Enforce policy did accept it: then what was decided with
// its verdict stands.
func (s *Snapshot) audits(r *decision.Request, g *Gate, decided []decision.AuditResult) []decision.AuditResult {
	if !s.auditing || r.Budget.Over() {
		return nil
	}
	out := s.auditsOf(r, g, decided)
	if r.Budget.Over() { // they change nothing, so nothing that is decided hangs on them
		r.Budget.Spare()
		return nil
	}
	return out
}

func (s *Snapshot) auditsOf(r *decision.Request, g *Gate, decided []decision.AuditResult) []decision.AuditResult {
	if r.Call == decision.Unread { // what is refused in any case is refused: here it is in doubt
		r.Call, decided = nil, nil
		defer func() { r.Call = decision.Unread }()
	}
	_, b, no, lack := s.identify(&s.audit, r, g)
	if lack != nil && lack.question != nil { // nobody waits on their behalf: the next request with the token finds the answer
		s.answers.aside(lack.question, ClientOf(r.Remote))
		return nil
	}
	switch {
	case no.Refused() && decided != nil:
		return decided
	case no.Refused():
		return s.program.AuditRefused(r, no)
	case b == nil:
		return s.program.Decide(r, nil).Audit
	}
	return s.program.Decide(r, b.subject).Audit
}

// observe forwards a request as it came, since only Audit policies select the workload.
func observe(r *Request, v *Verdict) {
	v.Forward, v.Reason, v.Cause, v.Host, v.Target = true, decision.AuditOnly, nil, r.Host, asOrigin(r.Target)
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
