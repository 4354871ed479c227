package gate

import (
	"net/netip"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/token"
)

// Who comes with a question that was answered since it came up takes that answer: the issuer is asked once.
func TestAQuestionThatWasAnsweredIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := newAnswers()
	q := &question{side: &side{}, found: token.Found{Raw: "0paque"}, now: func() time.Time { return now }}
	f := &flight{key: answerKeyOf(q.side, q.found), done: make(chan struct{}), cancel: func() {}, waiters: 1}
	a.flights[f.key] = f
	if a.join(q, netip.Addr{}) != f {
		t.Fatal("it is asked twice at once")
	}
	a.land(f, &finding{}, now, true)
	late := a.join(q, netip.Addr{})
	select {
	case <-late.done:
	default:
		t.Error("it waits for an answer that is there")
	}
	a.leave(late)
	if len(a.flights) != 0 {
		t.Error("it was asked again")
	}
}

// The trust domain of a JWT-SVID stands for its issuer, which revocations name. An issuer that takes tokens of any does not know it, and may come first.
func TestAFurtherIssuerSaysWhoseTheTokenIs(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"", "spiffe://example.org"}, {"spiffe://example.org", ""}} {
		f := &finding{}
		for i, issuer := range order {
			f.vouch(token.Verified{Issuer: issuer, Subject: "spiffe://example.org/a"}, i == 0)
		}
		if f.verified.Issuer != "spiffe://example.org" {
			t.Errorf("%q: the issuer is %q", order, f.verified.Issuer)
		}
	}
}
