package push_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

func TestEachPodGetsItsOwn(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	a, b := newBundle("va", 1), newBundle("vb", 1)
	r.give(map[string]*compile.Bundle{"a": a, "b": b})
	r.connect(t, r.tokens.mint("a", tomorrow(), nil), "").expect(a)
	r.connect(t, r.tokens.mint("b", tomorrow(), nil), "").expect(b)
}

func TestAcknowledgements(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	v1, v2, v3 := newBundle("v1", 1), newBundle("v2", 2), newBundle("v3", 3)
	r.give(map[string]*compile.Bundle{"a": v1})
	s := r.connect(t, r.tokens.mint("a", tomorrow(), nil), "")
	s.expect(v1)
	r.until(t, "connected", func(m map[string]push.Sidecar) bool { return m["uid-a"].Pod == "a" && m["uid-a"].Acked == nil })
	s.ack("v1")
	r.until(t, "acked v1", func(m map[string]push.Sidecar) bool { return m["uid-a"].Acked == v1.Ref })
	r.give(map[string]*compile.Bundle{"a": v2})
	s.expect(v2)
	s.nack("v2", "line\nbroken \x00 "+strings.Repeat("x", 1000))
	r.until(t, "refused v2", func(m map[string]push.Sidecar) bool { return m["uid-a"].Rejected == v2.Ref })
	c := r.Sidecars("shop")["uid-a"]
	if c.Acked != v1.Ref {
		t.Error("a NACK took away what is in use")
	}
	if len(c.Reason) > 512 || strings.ContainsAny(c.Reason, "\n\x00") {
		t.Errorf("reason %q; want one printable line of at most 512 bytes", c.Reason)
	}
	s.ack("v9") // was never sent
	r.give(map[string]*compile.Bundle{"a": v3})
	s.expect(v3)
	s.ack("v3")
	r.until(t, "acked v3", func(m map[string]push.Sidecar) bool {
		return m["uid-a"].Acked == v3.Ref && m["uid-a"].Rejected == nil
	})
}

func TestASidecarThatHasTheNewestIsSentNothing(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	v1, v2 := newBundle("v1", 1), newBundle("v2", 2)
	r.give(map[string]*compile.Bundle{"a": v1})
	s := r.connect(t, r.tokens.mint("a", tomorrow(), nil), "v1")
	r.until(t, "current", func(m map[string]push.Sidecar) bool { return m["uid-a"].Acked == v1.Ref })
	r.give(map[string]*compile.Bundle{"a": v2})
	s.expect(v2) // and not v1 before it
}

func TestTheLatestWins(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	slow := newBundle("v0", 1)
	slow.Encoded = make([]byte, 3<<20) // more than flow control lets through unread
	r.give(map[string]*compile.Bundle{"a": slow, "b": newBundle("b0", 1)})
	a := r.connect(t, r.tokens.mint("a", tomorrow(), nil), "") // does not read yet
	b := r.connect(t, r.tokens.mint("b", tomorrow(), nil), "")
	r.until(t, "connected", func(m map[string]push.Sidecar) bool { return len(m) == 2 })
	last := newBundle("b9", 9)
	for i := range 100 {
		v := newBundle(string(rune('A'+i%26))+strings.Repeat("x", i), 1)
		r.give(map[string]*compile.Bundle{"a": v, "b": last})
	}
	r.give(map[string]*compile.Bundle{"a": newBundle("end", 9), "b": last})
	for { // the other one is not delayed
		m, err := b.rpc.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetVersion() == "b9" {
			break
		}
	}
	got := 0
	for {
		m, err := a.rpc.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got++; m.GetVersion() == "end" {
			break
		}
	}
	if got > 50 {
		t.Errorf("a slow sidecar was sent %d of 102 bundles; want the latest to win", got)
	}
}

func TestAPodThatArrivesLater(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	s := r.connect(t, r.tokens.mint("a", tomorrow(), nil), "")
	r.until(t, "connected", func(m map[string]push.Sidecar) bool { return len(m) == 1 })
	b := newBundle("v1", 1)
	r.give(map[string]*compile.Bundle{"a": b})
	s.expect(b)
}

func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	one := map[string]*compile.Bundle{"a": newBundle("v1", 1)}
	cases := map[string]struct {
		change func(*push.Config)
		token  func(r *replica) string
		then   func(t *testing.T, r *replica, s *sidecar)
		want   codes.Code
	}{
		"when the pod is gone": {
			then: func(_ *testing.T, r *replica, s *sidecar) { s.expect(one["a"]); r.give(nil) }, want: codes.NotFound,
		},
		"when the pod opens another": {
			then: func(t *testing.T, r *replica, s *sidecar) {
				s.expect(one["a"])
				r.connect(t, r.tokens.mint("a", tomorrow(), nil), "").expect(one["a"])
			},
			want: codes.Aborted,
		},
		"when the token expires": {
			token: func(r *replica) string { return r.tokens.mint("a", time.Now().Add(2*time.Second), nil) }, want: codes.Unavailable,
		},
		"when they are old": {
			change: func(c *push.Config) { c.MaxStreamAge = 100 * time.Millisecond }, want: codes.Unavailable,
		},
		"when the pod is not known in time": {
			change: func(c *push.Config) { c.Arrival = 50 * time.Millisecond },
			token:  func(r *replica) string { return r.tokens.mint("nobody", tomorrow(), nil) }, want: codes.NotFound,
		},
		"when the first message is no Hello": {
			token: func(r *replica) string { return r.tokens.mint("a", tomorrow(), nil) }, want: codes.InvalidArgument,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReplica(t, newCertificate(t), c.change)
			r.give(one)
			token := r.tokens.mint("a", tomorrow(), nil)
			if c.token != nil {
				token = c.token(r)
			}
			var s *sidecar
			if c.want == codes.InvalidArgument {
				s = r.connectMute(t, token)
				s.ack("v1")
			} else {
				s = r.connect(t, token, "")
			}
			if c.then != nil {
				c.then(t, r, s)
			}
			if err := s.ends(); status.Code(err) != c.want {
				t.Errorf("ended with %v, want %s", err, c.want)
			}
		})
	}
}

func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	odd := func(change func(*authenticationv1.TokenReviewStatus)) func(*replica) string {
		return func(r *replica) string { return r.tokens.mint("a", tomorrow(), change) }
	}
	cases := map[string]struct {
		token func(*replica) string
		want  codes.Code
	}{
		"none":                  {func(*replica) string { return "" }, codes.Unauthenticated},
		"no JWT":                {func(*replica) string { return "secret" }, codes.Unauthenticated},
		"unknown":               {func(*replica) string { return "e30.e30.c2ln" }, codes.Unauthenticated},
		"expired":               {func(r *replica) string { return r.tokens.mint("a", time.Now().Add(-time.Minute), nil) }, codes.Unauthenticated},
		"not authenticated":     {odd(func(s *authenticationv1.TokenReviewStatus) { s.Authenticated = false }), codes.Unauthenticated},
		"for another audience":  {odd(func(s *authenticationv1.TokenReviewStatus) { s.Audiences = []string{"https://kubernetes"} }), codes.Unauthenticated},
		"audiences not checked": {odd(func(s *authenticationv1.TokenReviewStatus) { s.Audiences = nil }), codes.Unauthenticated},
		"bound to no pod":       {odd(func(s *authenticationv1.TokenReviewStatus) { s.User.Extra = nil }), codes.Unauthenticated},
		"of a user":             {odd(func(s *authenticationv1.TokenReviewStatus) { s.User.Username = "admin" }), codes.Unauthenticated},
		"not to be reviewed now": {func(r *replica) string {
			r.tokens.down = true
			return "e30.e30.c2ln"
		}, codes.Unavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReplica(t, newCertificate(t), nil)
			r.give(map[string]*compile.Bundle{"a": newBundle("v1", 1)})
			err := r.connect(t, c.token(r), "").ends()
			if status.Code(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), "e30.") {
				t.Errorf("the error repeats the token: %v", err)
			}
		})
	}
}

func TestATokenIsReviewedOnceInAWhile(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	b := newBundle("v1", 1)
	r.give(map[string]*compile.Bundle{"a": b})
	token := r.tokens.mint("a", tomorrow(), nil)
	for range 5 {
		r.connect(t, token, "").expect(b)
	}
	if r.tokens.reviews != 1 {
		t.Errorf("%d reviews for five streams, want 1", r.tokens.reviews)
	}
}

func TestUnknownKeysOfItsOwnKeySetsOnly(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	result, err := compile.Compile(snapshotWithKeySet())
	if err != nil {
		t.Fatal(err)
	}
	r.give(map[string]*compile.Bundle{"a": result.Bundles["uid-a"]})
	s := r.connect(t, r.tokens.mint("a", tomorrow(), nil), "")
	s.expect(result.Bundles["uid-a"])
	for _, id := range []string{"secret:other/stolen/k", "", "url:https://idp.example/jwks"} {
		s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_UnknownKey{UnknownKey: &pushv1.UnknownKey{KeySet: id}}})
	}
	if got := <-r.unknown; got != "url:https://idp.example/jwks" {
		t.Errorf("asked to fetch %q; want the pod's own key set only", got)
	}
}

func TestWhoAsksForKeysIsToldWhenTheyHaveBeenLookedAt(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	result, err := compile.Compile(snapshotWithKeySet())
	if err != nil {
		t.Fatal(err)
	}
	const id = "url:https://idp.example/jwks"
	b := result.Bundles["uid-a"]
	r.give(map[string]*compile.Bundle{"a": b, "b": b, "c": b})
	connect := func(pod string) *sidecar {
		s := r.connect(t, r.tokens.mint(pod, tomorrow(), nil), "")
		s.expect(b)
		return s
	}
	ask := func(s *sidecar, answer bool) {
		s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_UnknownKey{UnknownKey: &pushv1.UnknownKey{KeySet: id, Answer: answer}}})
		<-r.unknown
	}
	asks, old, silent := connect("a"), connect("b"), connect("c")
	running := time.Now()
	ask(asks, true)
	ask(old, false)                                                              // a sidecar of a release that knows no answers
	r.KeysChecked(push.Checked{KeySet: id, Began: running, JWKS: []byte("old")}) // which had begun before
	began := time.Now()
	r.KeysChecked(push.Checked{KeySet: id, Began: began.Add(1500 * time.Millisecond), JWKS: []byte("keys"), Next: began.Add(time.Hour)})
	r.KeysChecked(push.Checked{KeySet: id, Began: began.Add(time.Hour), JWKS: []byte("later")}) // nobody waits any more
	m, err := asks.rpc.Recv()
	if err != nil {
		t.Fatal(err)
	}
	k, digest := m.GetKeysChecked(), sha256.Sum256([]byte("keys"))
	if m.GetVersion() != "" || k.GetKeySet() != id || !bytes.Equal(k.GetDigest(), digest[:]) {
		t.Errorf("told %v, want that the keys are now those", m)
	}
	if n := k.GetBeganAfterMs(); n < 1500 || n > 20_000 {
		t.Errorf("the look began %d ms after the wish; want 1500 or somewhat more", n)
	}
	if n := k.GetNextAfterMs(); n < 3_500_000 {
		t.Errorf("the next look is due in %d ms, want an hour", n)
	}
	next := newBundle("next", 2)
	r.give(map[string]*compile.Bundle{"a": next, "b": next, "c": next})
	for _, s := range []*sidecar{asks, old, silent} {
		s.expect(next) // and nothing before it
	}
}
