package push_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

// A sidecar that comes with the newest version is told so, once; one of an older release hears nothing.
func TestASidecarThatIsUpToDateIsToldSo(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	first, second := newBundle("v1", 1), newBundle("v2", 2)
	r.give(map[string]*compile.Bundle{"a": first, "b": first, "old": first})
	a := r.hello(t, "a", "v1")
	m, err := a.rpc.Recv()
	if err != nil || m.GetCurrent() != "v1" || m.GetVersion() != "" || m.GetBundle() != nil {
		t.Fatalf("got %v, %v; want that v1 is the newest", m, err)
	}
	b := r.hello(t, "b", "v0")
	b.expect(first)
	old := r.connect(t, r.tokens.mint("old", tomorrow(), nil), "v1")
	r.give(map[string]*compile.Bundle{"a": second, "b": second, "old": second})
	for _, s := range []*sidecar{a, b, old} {
		s.expect(second) // and nothing else before it
	}
}
