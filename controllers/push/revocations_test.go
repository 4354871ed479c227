package push_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

func setOf(n int) *revoked.Set {
	r := policy.Revocation{Issuer: "https://idp.example"}
	for i := range n {
		r.Entries = append(r.Entries, policy.RevocationEntry{JTI: strconv.Itoa(i)})
	}
	return revoked.SetOf(r)
}

// revocations receives messages until they have led from base to want, and returns how many entries they had.
func (s *sidecar) revocations(base, want *revoked.Set) (entries int) {
	s.t.Helper()
	a := revoked.NewApplier(base)
	for {
		m, err := s.rpc.Recv()
		if err != nil {
			s.t.Fatal(err)
		}
		r := m.GetRevocations()
		if r == nil {
			s.t.Fatalf("got a message without revocations, version %q", m.GetVersion())
		}
		if err := a.Take(revoked.Chunk{Added: r.GetAdded(), Removed: r.GetRemoved()}); err != nil {
			s.t.Fatal(err)
		}
		entries += (len(r.GetAdded()) + len(r.GetRemoved())) / revoked.Size
		if r.GetMore() {
			continue
		}
		if _, err := a.Finish(want.Version(), nil); err != nil {
			s.t.Fatal(err)
		}
		return entries
	}
}

func (s *sidecar) sayRevoked(set *revoked.Set, reason string) {
	v := set.Version()
	if reason != "" {
		s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Nack{Nack: &pushv1.Nack{Revocations: v[:], Reason: reason}}})
		return
	}
	s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Revocations: v[:]}}})
}

func (r *replica) helloWith(t *testing.T, version string, set *revoked.Set) *sidecar {
	t.Helper()
	s := r.connectMute(t, r.tokens.mint("a", tomorrow(), nil))
	v := set.Version()
	s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{Version: version, Revocations: v[:]}}})
	return s
}

func TestRevocationsComeBeforeTheBundleAndThenAsChanges(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	old, now := setOf(100_000), setOf(100_001)
	v1 := newBundle("v1", 1)
	r.Revoke("shop", old)
	r.give(map[string]*compile.Bundle{"a": v1})
	s := r.connect(t, r.tokens.mint("a", tomorrow(), nil), "")
	if n := s.revocations(nil, old); n != 100_000 {
		t.Errorf("%d entries came", n)
	}
	s.expect(v1)
	s.sayRevoked(old, "")
	r.until(t, "acked", func(m map[string]push.Sidecar) bool { return m["uid-a"].Revocations.Acked == old.Version() })

	r.Revoke("shop", now)
	if n := s.revocations(old, now); n != 1 {
		t.Errorf("for one more, %d entries came", n)
	}
	s.sayRevoked(now, "my set is another")
	r.until(t, "rejected", func(m map[string]push.Sidecar) bool {
		x := m["uid-a"].Revocations
		return x.Acked == old.Version() && x.Rejected == now.Version() && x.Reason == "my set is another"
	})
	if n := s.revocations(nil, now); n != 100_001 {
		t.Errorf("after a refusal %d entries came, want all", n)
	}
	s.sayRevoked(now, "")
	r.until(t, "acked again", func(m map[string]push.Sidecar) bool {
		return m["uid-a"].Revocations == push.Revocations{Acked: now.Version()}
	})
}

func TestASidecarThatComesWithRevocations(t *testing.T) {
	t.Parallel()
	old, now, other := setOf(1000), setOf(1001), setOf(999)
	for name, tc := range map[string]struct {
		has  *revoked.Set
		want int // entries that are sent
	}{
		"the newest": {now, 0}, "an old one": {old, 1}, "one that is not known": {other, 1001},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReplica(t, newCertificate(t), nil)
			v1 := newBundle("v1", 1)
			r.Revoke("shop", old)
			r.Revoke("shop", now)
			r.give(map[string]*compile.Bundle{"a": v1})
			s := r.helloWith(t, "", tc.has)
			if tc.want > 0 {
				base := tc.has
				if tc.has == other {
					base = nil
				}
				if n := s.revocations(base, now); n != tc.want {
					t.Errorf("%d entries came, want %d", n, tc.want)
				}
				s.sayRevoked(now, "")
			}
			s.expect(v1)
			r.until(t, "current", func(m map[string]push.Sidecar) bool { return m["uid-a"].Revocations.Acked == now.Version() })
		})
	}
}

// A pod that nobody knows yet may come and go between the revocations of its namespace and the first bundles there.
func TestRevocationsStayWhileAStreamEnds(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), func(c *push.Config) { c.Arrival = time.Millisecond })
	set, v1 := setOf(10), newBundle("v1", 1)
	r.Revoke("shop", set)
	_ = r.connect(t, r.tokens.mint("b", tomorrow(), nil), "").ends()
	r.until(t, "the stream is over", func(m map[string]push.Sidecar) bool { return len(m) == 0 })
	r.give(map[string]*compile.Bundle{"a": v1})
	s := r.connect(t, r.tokens.mint("a", tomorrow(), nil), "")
	if n := s.revocations(nil, set); n != 10 {
		t.Errorf("%d entries came before the bundle, want 10", n)
	}
	s.expect(v1)
}

// Changes are kept as what they change: each of these leaves no part of the set as it was.
func TestASidecarThatIsSomeChangesBehind(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	sets, v1 := []*revoked.Set{setOf(50_000), setOf(60_000), setOf(70_000)}, newBundle("v1", 1)
	for _, s := range sets {
		r.Revoke("shop", s)
	}
	r.give(map[string]*compile.Bundle{"a": v1})
	s := r.helloWith(t, "", sets[0])
	for i, next := range sets[1:] {
		if n := s.revocations(sets[i], next); n != 10_000 {
			t.Errorf("step %d has %d entries, want 10,000", i, n)
		}
		s.sayRevoked(next, "")
	}
	s.expect(v1)
	r.until(t, "current", func(m map[string]push.Sidecar) bool { return m["uid-a"].Revocations.Acked == sets[2].Version() })
}
