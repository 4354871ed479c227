package gate_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// newSigner returns a provider that signs its answers (RFC 9701): those that sign returns.
func newSigner(t *testing.T, sign func(p *provider) string) *provider {
	t.Helper()
	p := newProvider(t, "k1", gate.Options{})
	is := asks
	in := *asks.Introspection
	in.SignedResponse, is.Introspection, is.Keys = true, &in, policy.KeySource{JWKSURL: "https://idp.example/jwks"}
	p.made = func(keys *gatetest.Issuer) *gate.Snapshot {
		return answeredBy(t, reading(is), keys, func() (token.Answer, error) {
			return token.Answer{Body: sign(p), Signed: true, ClientID: "sidecar"}, nil
		})
	}
	p.gate.Swap(p.snapshot(p.now))
	return p
}

// vouch is an answer that whoever signs now gives.
func (p *provider) vouch() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.Answer(time.Now(), "sidecar", map[string]any{
		"active": true, "sub": "alice", "aud": "orders", "scope": "orders.read", "exp": time.Now().Add(time.Hour).Unix(),
	})
}

// TestARotationOfAnswersRefusesNobody: keys that sign answers are looked for like those that sign tokens.
func TestARotationOfAnswersRefusesNobody(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rotate func(*provider)
		before func(*provider)
		within time.Duration
	}{
		"a new key id":                       {rotate: func(p *provider) { p.rotate("k2") }, within: 100 * time.Millisecond},
		"a new key under the key id it had":  {rotate: func(p *provider) { p.constant() }, within: 100 * time.Millisecond},
		"a new key id, right after a fetch":  {rotate: func(p *provider) { p.rotate("k2") }, before: func(p *provider) { p.exhaust() }, within: gap + 100*time.Millisecond},
		"two new keys, one after the other":  {rotate: func(p *provider) { p.rotate("k2"); p.vouch(); p.rotate("k3") }, within: 100 * time.Millisecond},
		"a new key, while a token was known": {rotate: func(p *provider) { p.sends("10.0.0.1", "0paque"); p.rotate("k2") }, within: 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newSigner(t, (*provider).vouch)
				if test.before != nil {
					test.before(p)
				}
				test.rotate(p)
				for _, raw := range []string{"0paque", "other"} {
					if v, took := p.sends("10.0.0.1", raw); !v.Forward || took > test.within {
						t.Errorf("%s: %s %v, after %s", raw, v.Reason, v.Cause, took)
					}
				}
				time.Sleep(time.Minute) // looks that are due end within the test
			})
		})
	}
}

// TestAnswersThatNoKeyVerifies have keys looked for as seldom as tokens do, however many ask, and hold up nobody twice.
func TestAnswersThatNoKeyVerifies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var signed atomic.Int64
		forger := gatetest.NewIssuer(corp.URL, "not-published")
		p := newSigner(t, func(*provider) string {
			signed.Add(1)
			return forger.Answer(time.Now(), "sidecar", map[string]any{"active": true, "sub": "root"})
		})
		if v, took := p.sends("10.0.0.1", "first"); v.Reason != decision.IntrospectionUnavailable || took > time.Second {
			t.Errorf("the first: %s after %s", v.Reason, took)
		}
		begin := time.Now()
		stop := p.flood(20, "10.0.0.1", madeUpOpaque())
		time.Sleep(30 * time.Second)
		stop()
		if most := burst + int(time.Since(begin)/gap) + 1; p.looked() > most {
			t.Errorf("%d looks for keys in %s; want at most %d", p.looked(), time.Since(begin), most)
		}
		if signed.Load() == 0 {
			t.Error("nobody was asked")
		}
		time.Sleep(time.Minute)
	})
}

// madeUpOpaque returns opaque tokens, each another.
func madeUpOpaque() func() string {
	var n atomic.Int64
	return func() string { return fmt.Sprint("made-up-", n.Add(1)) }
}
