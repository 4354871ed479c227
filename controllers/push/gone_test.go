package push_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// hello opens a stream as a sidecar that wants to hear what is gone.
func (r *replica) hello(t *testing.T, pod, version string) *sidecar {
	t.Helper()
	s := r.connectMute(t, r.tokens.mint(pod, tomorrow(), nil))
	s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{Version: version, Features: uint64(bundle.KnownFeatures)}}})
	return s
}

// gone receives one message, and wants it to tell of these objects by their UIDs, and of a bundle's version if not empty.
func (s *sidecar) gone(version string, uids ...string) {
	s.t.Helper()
	m, err := s.rpc.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	entries, err := departed.Decode(m.GetGone())
	if err != nil {
		s.t.Fatal(err)
	}
	got, want := map[departed.UID]bool{}, map[departed.UID]bool{}
	for _, e := range entries {
		got[e.UID] = true
	}
	for _, uid := range uids {
		want[departed.UIDOf(uid)] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || m.GetVersion() != version {
		s.t.Fatalf("version %q, gone (-want +got):\n%s", m.GetVersion(), diff)
	}
}

func TestSidecarsThatTrustServiceAccountsHearWhatIsGone(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	trusts, other := newBundle("v1", 1), newBundle("v2", 1)
	trusts.Accounts = true
	r.Gone("far", "before")
	r.give(map[string]*compile.Bundle{"a": trusts, "b": trusts, "c": other})
	a := r.hello(t, "a", "")
	a.gone("v1", "before")
	r.Gone("shop", "one")
	r.Gone("shop", "two")
	a.gone("", "one", "two") // gathered
	// One that comes later, with the newest bundle, hears of everything.
	r.hello(t, "b", "v1").gone("", "before", "one", "two")
	// One that does not trust service accounts hears nothing, and then all of it.
	c := r.hello(t, "c", "")
	c.gone("v2")
	r.Gone("shop", "three")
	a.gone("", "three")
	trustsToo := newBundle("v3", 2)
	trustsToo.Accounts = true
	r.give(map[string]*compile.Bundle{"a": trusts, "c": trustsToo})
	c.gone("v3", "before", "one", "two", "three")
	// A sidecar of an older release is sent bundles alone.
	r.give(map[string]*compile.Bundle{"a": trusts, "c": trustsToo, "d": trusts})
	old := r.connect(t, r.tokens.mint("d", tomorrow(), nil), "")
	old.gone("v1")
}
