package gate

import (
	"math/bits"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Trace is what is told of how a request was judged, to who asks for it by Request.Trace: that takes time. It has no value of a
// token, and of the request none but the rule's own words for its path.
type Trace struct {
	// Route is the path template by which the rule that decided fits; empty where none decided, or it has none.
	Route string
	// IssuerEntry is the name, in its policy, of an issuer that vouches for the token, or of the one that does not take it.
	IssuerEntry string
	// Asked is when the token's issuer was asked about it, Keys when newer keys of it were waited for.
	Asked, Keys Interval
}

// Interval is a stretch of time; the zero Interval is none.
type Interval struct{ From, To time.Time }

// waiting notes the time of a function in an interval of the request's trace, if it has one.
func (g *Gate) waiting(r *Request, of func(*Trace) *Interval, wait func() Verdict) Verdict {
	if r.Trace == nil {
		return wait()
	}
	i := of(r.Trace)
	i.From = g.opts.Now()
	v := wait()
	i.To = g.opts.Now()
	return v
}

// trace notes what has been decided.
func (s *Snapshot) trace(t *Trace, r *decision.Request, v *Verdict) {
	t.Route, t.IssuerEntry = "", ""
	if v.Rule != "" {
		t.Route = s.program.Route(v.Policy, v.Rule, r)
	}
	bit := v.judged.issuer - 1
	if v.by != 0 {
		bit = bits.TrailingZeros64(uint64(v.by))
	}
	if all := s.program.Issuers(); bit >= 0 && bit < len(all) {
		t.IssuerEntry = all[bit].Spec.Name
	}
}
