package push_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

// leaving receives one message, and wants it to say that the pod is being deleted and nothing else.
func (s *sidecar) leaving() {
	s.t.Helper()
	m, err := s.rpc.Recv()
	if err != nil || !m.GetLeaving() || m.GetVersion() != "" || m.GetBundle() != nil {
		s.t.Fatalf("got %v, %v; want that the pod is being deleted", m, err)
	}
}

// A sidecar hears once on each stream that its own pod is being deleted; one of an older release hears nothing of it.
func TestASidecarHearsThatItsPodIsBeingDeleted(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	first, second := newBundle("v1", 1), newBundle("v2", 2)
	r.give(map[string]*compile.Bundle{"a": first, "b": first, "old": first})
	a, b := r.hello(t, "a", ""), r.hello(t, "b", "")
	old := r.connect(t, r.tokens.mint("old", tomorrow(), nil), "")
	for _, s := range []*sidecar{a, b, old} {
		s.expect(first)
	}
	r.Leaving("shop", "uid-a")
	a.leaving()
	r.Leaving("shop", "uid-a")
	r.Leaving("shop", "uid-old")
	r.Leaving("elsewhere", "uid-b")
	r.Leaving("shop", "uid-nobody")
	r.give(map[string]*compile.Bundle{"a": second, "b": second, "old": second})
	for _, s := range []*sidecar{a, b, old} {
		s.expect(second) // and nothing else before it
	}
	r.hello(t, "a", "v2").leaving()
}
