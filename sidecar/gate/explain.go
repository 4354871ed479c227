package gate

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// Explained is a verdict and how it came about.
type Explained struct {
	Verdict Verdict
	// Details are what the log would have.
	Details decision.Details
	// Snapshot is the version of the snapshot in force, Built when it was made; empty without one.
	Snapshot string
	Built    time.Time
	// LeftOut are the identity headers that the app does not get of the token.
	LeftOut []LeftOut
	// Issuers says of each issuer whether it takes the token; empty without a token.
	Issuers []IssuerSays
	// Rules says of each rule what it had to do with the verdict; empty if it did not come to that.
	Rules []decision.RuleReport
	// Readable says that the token is signed only, and so is the other one if Audit policies look elsewhere: whoever has it can read what causes and headers have of its claims. Of another
	// one, an encrypted or an opaque token, they must not be shown.
	Readable bool
}

// IssuerSays is whether one issuer takes a token.
type IssuerSays struct {
	// Policy is the ID of the issuer's policy, Issuer its name there.
	Policy, Issuer string
	// Refusal is zero if it takes it.
	Refusal decision.Refusal
}

// Explain judges a request as Judge does, under the snapshot in force and by the same code, and says how it came about. It leaves no
// trace: nothing is counted, cached, or remembered, no issuer is asked about the token and no keys are fetched. So of a token that
// only its issuer knows it says that nobody was asked. It takes up to some milliseconds. r.Time and r.Body have to be set.
func (g *Gate) Explain(r *Request) (out Explained) {
	defer func() {
		if recover() != nil {
			out = Explained{Verdict: Verdict{Reason: decision.InternalError}}
		}
	}()
	s, aside := g.snapshot.Load(), New(Options{Now: func() time.Time { return r.Time }, AwaitRevocations: g.opts.AwaitRevocations})
	aside.gone = g.gone
	aside.stale.Store(g.stale.Load())
	if set := g.revoked.Load(); set != nil {
		aside.revoked.Store(set)
	}
	if s == nil {
		out.Verdict = aside.Judge(r)
		return out
	}
	apart := s.apart(func(l LeftOut) { out.LeftOut = append(out.LeftOut, l) })
	aside.snapshot.Store(apart)
	out.Snapshot, out.Built = s.version, s.built
	out.Verdict = aside.Judge(r)
	why := out.Verdict.Why(r)
	out.Details = why.Details()
	if !out.Verdict.Forward {
		out.LeftOut = nil
	}
	apart.explain(r, &out)
	return out
}

// apart returns a snapshot that judges the same, and shares nothing that a request changes. It asks no issuer.
func (s *Snapshot) apart(leftOut func(LeftOut)) *Snapshot {
	silent := newAnswers()
	silent.unwaited = maxUnwaited
	return &Snapshot{
		version: s.version, built: s.built, policies: s.policies, issuers: s.issuers, unresolved: s.unresolved, keyless: s.keyless,
		program: s.program, identity: s.identity, onLeftOut: leftOut, resources: s.resources, offers: s.offers, names: s.names, strip: s.strip,
		enforce: s.enforce, audit: s.audit, auditing: s.auditing,
		cache: token.NewCache[bearer](0), subjects: s.program.NewPool(), commons: commons{met: map[string]*common{}}, answers: silent,
	}
}

// explain adds what each issuer says of the token and what each rule says of the request. A request without a canonical form was
// refused before any of them.
func (s *Snapshot) explain(r *Request, out *Explained) {
	var sh shape
	if len(s.policies) == 0 || sh.read(r, s.program.PathOptions()).Refused() {
		return
	}
	dr := newRequest(r, &sh, r.Time)
	if s.program.HasCalls() {
		dr.Call, _ = callOf(r, dr.Header)
	}
	var claims decision.Claims
	var by decision.IssuerSet
	hidden := false
	for _, sd := range []*side{&s.enforce, &s.audit} {
		found, no := sd.locator.Find(locate(&dr))
		if no.Refused() || !found.OK || out.Verdict.TokenIgnored {
			continue
		}
		t, malformed := token.Parse(found.Raw)
		hidden = hidden || t == nil || t.Encrypted()
		out.Readable = !hidden
		for i := range sd.issuers {
			v, no := sd.ask(i, t, malformed, found, r.Time)
			is := s.program.Issuers()[sd.issuers[i].bit]
			out.Issuers = append(out.Issuers, IssuerSays{is.Policy, is.Spec.Name, no})
			if !no.Refused() {
				if by == 0 {
					claims = v.Claims
				}
				by = by.With(sd.issuers[i].bit)
			}
		}
	}
	var subject *decision.Subject
	if by != 0 {
		subject = s.program.Bind(claims, by)
	}
	out.Rules = s.program.Explain(&dr, subject).Rules
}

// ask returns what one issuer, by its index in the side, says of a token; t is nil for one that cannot be parsed.
func (sd *side) ask(i int, t *token.Token, malformed decision.Refusal, found token.Found, now time.Time) (token.Verified, decision.Refusal) {
	is := &sd.issuers[i]
	switch {
	case is.verifier.Asks(t) && (t != nil || token.Opaque(found.Raw)) && (t == nil || !is.verifier.Wants(t)):
		return token.Verified{}, decision.Refusal{
			Reason: decision.IntrospectionUnavailable, Cause: decision.Because("only its issuer can tell, which is not asked for an explanation"),
		}
	case t == nil:
		return token.Verified{}, malformed
	case !found.Takers.Has(i):
		return token.Verified{}, decision.Refusal{Reason: decision.WrongLocation, Cause: sd.locator.Elsewhere(found, i, is.name)}
	}
	return is.verifier.Verify(t, now)
}
