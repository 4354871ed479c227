package gate

import (
	"context"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// Endpoint is where an issuer is asked about tokens (RFC 7662). It is safe for concurrent use.
type Endpoint interface {
	// Ask asks on behalf of a client. It may wait for its turn until ctx is done; how long it takes then has a bound. The error
	// holds nothing of the token.
	Ask(ctx context.Context, client netip.Addr, raw string) (token.Answer, error)
}

// Asked is an issuer that is asked, and what is shown its endpoint, as api/credential encodes it; nil while it is not resolved.
type Asked struct {
	Issuer     policy.Issuer
	Credential []byte
}

// question is what has to be found out about a token: nobody here can read it.
type question struct {
	under *Snapshot
	side  *side
	found token.Found  // its text is in the memory of the request
	token *token.Token // nil: it is opaque
	now   func() time.Time
}

// introspects reports whether issuers of the side are asked about a token, t, which is nil for an opaque one. What an issuer with
// keys may have signed is never asked about, and what none can read is never verified: so each text has one way.
func (sd *side) introspects(t *token.Token) bool {
	asks := false
	for _, is := range sd.issuers {
		if t != nil && is.verifier.Wants(t) {
			return false
		}
		asks = asks || is.verifier.Asks(t)
	}
	return asks
}

// recall returns what issuers have said of a token just now. Else the finding has the question.
func (s *Snapshot) recall(sd *side, found token.Found, t *token.Token, now time.Time) *finding {
	if f := s.answers.recall(answerKeyOf(sd, found), now); f != nil {
		return f
	}
	f := &finding{refusal: decision.Refusal{Reason: decision.UnknownIssuer}}
	for i, is := range sd.issuers {
		if !is.verifier.Asks(t) {
			continue
		}
		if found.Takers.Has(i) {
			return &finding{
				refusal: decision.Refusal{
					Reason: decision.IntrospectionUnavailable, Cause: decision.Because("only its issuer can tell, which has not been asked"),
				},
				question: &question{under: s, side: sd, found: found, token: t},
			}
		}
		f.further(decision.Refusal{Reason: decision.WrongLocation, Cause: sd.locator.Elsewhere(found, i, is.name)}, is.bit)
	}
	return f
}

// said is what an endpoint has said of a token.
type said struct {
	answer token.Answer
	err    error
}

// ask asks all issuers that the token may be from, and holds what they say to the policy. The token is good if one says so, and then
// all that do count, as long as they say the same of it: else nobody could tell whose word a rule goes by.
func (q *question) ask(ctx context.Context, client netip.Addr, raw string) *finding {
	answers := q.answers(ctx, client, raw)
	now := q.now()
	f := &finding{refusal: decision.Refusal{Reason: decision.UnknownIssuer}, fresh: now.Add(refusalLife)}
	ttl, differ := time.Duration(0), false
	for i, is := range q.side.issuers {
		if !q.concerns(i) {
			continue
		}
		v, no := is.heed(answers, now)
		if no.Refused() {
			f.further(no, is.bit)
			if is.source != "" && token.NewerKeys(no) {
				f.unknown = append(f.unknown, is.source)
			}
			continue
		}
		differ = differ || f.by != 0 && !reflect.DeepEqual(v.Claims, f.verified.Claims)
		f.add(v, is)
		if ttl == 0 || is.ttl < ttl {
			ttl = is.ttl
		}
	}
	switch {
	case differ:
		return &finding{refusal: decision.Refusal{Reason: decision.UnknownIssuer, Cause: errRivals}, fresh: now.Add(refusalLife)}
	case f.by == 0:
		return f
	case f.refusal.Reason != decision.IntrospectionUnavailable: // else another one may vouch for it, too: ask again soon
		f.fresh = now.Add(ttl)
	}
	f.refusal, f.unknown = decision.Refusal{}, nil
	return f
}

// errRivals is why a token is refused that two issuers know as two things.
const errRivals decision.Because = "two issuers that were asked vouch for the token and say different things of it; give each a place of its own (issuers[].from)"

// concerns reports whether an issuer, by its index in the side, is one of those that are asked.
func (q *question) concerns(i int) bool {
	return q.side.issuers[i].verifier.Asks(q.token) && q.found.Takers.Has(i)
}

// answers asks, each endpoint once.
func (q *question) answers(ctx context.Context, client netip.Addr, raw string) map[Endpoint]*said {
	var wait sync.WaitGroup
	out := map[Endpoint]*said{}
	for i, is := range q.side.issuers {
		if !q.concerns(i) || is.endpoint == nil || out[is.endpoint] != nil {
			continue
		}
		s := &said{}
		out[is.endpoint] = s
		wait.Go(func() { s.answer, s.err = askOne(ctx, is.endpoint, client, raw) })
	}
	wait.Wait()
	return out
}

// heed holds what the issuer's endpoint has said to the policy.
func (is *issuer) heed(answers map[Endpoint]*said, now time.Time) (token.Verified, decision.Refusal) {
	if is.endpoint == nil {
		return token.Verified{}, decision.Refusal{
			Reason: decision.KeysUnavailable, Cause: decision.Because("the credential for the introspection endpoint of issuer " + is.name + " has not been read yet"),
		}
	}
	if a := answers[is.endpoint]; a.err != nil {
		return token.Verified{}, decision.Refusal{
			Reason: decision.IntrospectionUnavailable, Cause: decision.Because("the introspection endpoint of issuer " + is.name + ": " + a.err.Error()),
		}
	}
	return is.verifier.VerifyAnswer(answers[is.endpoint].answer, now)
}

// add counts an issuer that vouches for the token.
func (f *finding) add(v token.Verified, is issuer) {
	if f.by == 0 {
		f.verified = v
	}
	f.by = f.by.With(is.bit)
	f.until = earlier(f.until, v.Expiry)
	if is.maxAge > 0 {
		f.until = earlier(f.until, v.IssuedAt.Add(is.maxAge))
	}
}

// judgeAsked has a question answered and judges the request again.
func (g *Gate) judgeAsked(ctx context.Context, r *Request, v Verdict) Verdict {
	if !r.Places.enter() {
		return v
	}
	defer r.Places.leave()
	w := g.room.enter(ClientOf(r.Remote))
	if w == nil {
		return v
	}
	defer g.room.leave(w)
	end := time.NewTimer(g.opts.KeyWait)
	defer end.Stop()
	v, _ = g.answered(ctx, r, v, w, end.C)
	return v
}

// answered has questions answered for one who waits, and judges the request again, until there is none or the wait is over, which
// landed says.
func (g *Gate) answered(ctx context.Context, r *Request, v Verdict, w *waiter, end <-chan time.Time) (_ Verdict, landed bool) {
	for v.lack != nil && v.lack.question != nil {
		q := v.lack.question
		flight := q.under.answers.join(q, ClientOf(r.Remote))
		landed := w.wait(ctx, flight.done, end, r.Client)
		q.under.answers.leave(flight)
		if !landed {
			return v, false
		}
		later := *r
		later.Time = time.Time{} // it is later by now
		v = g.Judge(&later)
	}
	return v, true
}
