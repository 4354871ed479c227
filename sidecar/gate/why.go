package gate

import (
	"math/bits"
	"net/http"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// judged is how a refusal came about, or that by an Audit policy. It is zero for everything else, and once Why was called for what is
// forwarded, so that no long stream keeps a snapshot.
type judged struct {
	under  *Snapshot
	at     time.Time
	issuer int  // bit of the issuer that does not take the token, plus one; 0: it is not one
	brief  bool // whoever asks more must not be held for long
}

// Why finds out more about a refusal than a Verdict says, when somebody is to read it: that takes much longer than to
// refuse. The zero Why knows nothing.
type Why struct {
	judged

	request      *Request
	reason       decision.Reason
	cause        decision.Cause
	policy, rule string // that decided
}

// Explainable reports whether Why knows anything.
func (v *Verdict) Explainable() bool { return v.judged.under != nil }

// Why returns what finds out more about the verdict on a request. It is of use as long as the request is. For what is forwarded it can be
// called once.
func (v *Verdict) Why(r *Request) Why {
	if v.judged.under == nil {
		return Why{}
	}
	w := Why{v.judged, r, v.Reason, v.Cause, v.Policy, v.Rule}
	if v.Forward {
		v.judged = judged{}
	}
	return w
}

// remember keeps what Why needs of a request that is forwarded, if an Audit policy has no rule for its token.
func (v *Verdict) remember(s *Snapshot, now time.Time) {
	for i := range v.Audit {
		if v.Forward && lacksRule(&v.Audit[i]) {
			v.judged = judged{under: s, at: now}
			return
		}
	}
}

// lacksRule reports whether a policy takes a token and has no rule for it.
func lacksRule(a *decision.AuditResult) bool {
	switch a.Reason {
	case decision.NoRule, decision.InsufficientScope, decision.InsufficientAuthentication:
		return !a.Allowed
	default:
		return false
	}
}

// Audited says of each verdict of an Audit policy whose token it has no rule for, step by step, under the snapshot that judged it; the zero
// value, where that is not so. It returns nil if nothing can be found out.
func (w *Why) Audited(verdicts []decision.AuditResult) (out []decision.AuditDetails) {
	if w.under == nil || !slices.ContainsFunc(verdicts, func(a decision.AuditResult) bool { return lacksRule(&a) }) {
		return nil
	}
	defer func() {
		if recover() != nil {
			out = nil
		}
	}()
	var sh shape
	if sh.read(w.request, w.under.program.PathOptions()).Refused() {
		return nil
	}
	r := w.asks(&sh)
	f := w.verified(&w.under.audit, &r)
	if f == nil {
		return nil
	}
	scopes := decision.Scopes(f.verified.Claims)
	out = make([]decision.AuditDetails, len(verdicts))
	for i := range verdicts {
		if !lacksRule(&verdicts[i]) {
			continue
		}
		for bit, is := range w.under.program.Issuers() {
			if f.by.Has(bit) && is.Policy == verdicts[i].Policy {
				out[i] = decision.AuditDetails{IssuerEntry: is.Spec.Name, Scopes: scopes}
				break
			}
		}
	}
	return out
}

// verified verifies the request's token once more, since what is cached of one has no claims; nil if it is not good.
func (w *Why) verified(sd *side, r *decision.Request) *finding {
	found, no := sd.locator.Find(locate(r))
	if no.Refused() || !found.OK {
		return nil
	}
	s := w.under
	if b := s.cache.Get(found.Raw, sd.place(found), w.at); b != nil && !b.common.asked {
		if t := read(found.Raw); !t.refusal.Refused() && !t.token.Encrypted() { // it was verified, by these issuers
			return &finding{verified: token.Verified{Claims: t.token.Unverified()}, by: b.subject.Verified()}
		}
	}
	var t *text
	if r.Budget.Bounded() {
		var ok bool
		if t, ok = s.affords(sd, found, r); !ok {
			return nil
		}
	}
	f := s.verify(sd, found.Raw, t, found, w.at)
	if f.refusal.Refused() {
		return nil
	}
	return f
}

// asks is the request as rules look at it.
func (w *Why) asks(sh *shape) decision.Request {
	r := newRequest(w.request, sh, w.at)
	if w.brief {
		r.Budget = decision.NewBudget(patience)
	}
	return r
}

// Details judges the request again, step by step, under the snapshot that refused it. A panic on the way is as if nothing could be
// found out.
func (w *Why) Details() (d decision.Details) {
	if w.under == nil {
		return decision.Details{}
	}
	defer func() {
		if recover() != nil {
			d = decision.Details{}
		}
	}()
	near := w.nearest()
	if near != nil {
		d.Failed = near.String()
		if near.Policy != w.policy || near.Rule != w.rule {
			d.NearestPolicy, d.NearestRule = near.Policy, near.Rule
		}
	}
	if refuse.Table(w.reason).Status != http.StatusUnauthorized && w.issuer == 0 {
		return d
	}
	if is := w.entry(near); is != nil {
		d.Policy, d.IssuerEntry, d.Audiences = is.Policy, is.Spec.Name, is.Spec.Audiences
	} else {
		d.Policy = d.NearestPolicy
	}
	return d
}

// entry returns the issuer that does not take the token, or that a token is wanted of; nil if there is not one that can be
// named.
func (w *Why) entry(near *decision.Nearest) *decision.Issuer {
	all := w.under.program.Issuers()
	if w.issuer > 0 {
		return &all[w.issuer-1]
	}
	if near != nil {
		if bits.OnesCount64(uint64(near.Issuers)) != 1 {
			return nil
		}
		return &all[bits.TrailingZeros64(uint64(near.Issuers))]
	}
	if own := w.under.enforce.issuers; len(own) == 1 {
		return &all[own[0].bit]
	}
	if c, ok := w.cause.(interface{ Nearest() (token.Named, bool) }); ok {
		if named, ok := c.Nearest(); ok {
			for i := range all {
				if all[i].Policy == named.Policy && all[i].Spec.Name == named.Name {
					return &all[i]
				}
			}
		}
	}
	return nil
}

// nearest returns the rule that came nearest to letting the request in; nil if no rule was asked, or one denies.
func (w *Why) nearest() *decision.Nearest {
	switch w.reason {
	case decision.NoRule, decision.NoToken, decision.InsufficientScope, decision.InsufficientAuthentication:
	default:
		return nil
	}
	var sh shape
	if sh.read(w.request, w.under.program.PathOptions()).Refused() {
		return nil
	}
	r := w.asks(&sh)
	r.Call, _ = callOf(w.request, r.Header)
	var subject *decision.Subject
	if w.reason != decision.NoToken {
		f := w.verified(&w.under.enforce, &r)
		if f == nil {
			return nil
		}
		subject = w.under.program.Bind(f.verified.Claims, f.by)
	}
	near := w.under.program.Nearest(&r, subject)
	if r.Budget.Over() || r.Budget.Spared() {
		return nil
	}
	return near
}
