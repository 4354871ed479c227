package source_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/source"
)

func setOf(n int) *revoked.Set {
	r := policy.Revocation{Issuer: "https://idp.example"}
	for i := range n {
		r.Entries = append(r.Entries, policy.RevocationEntry{JTI: strconv.Itoa(i)})
	}
	return revoked.SetOf(r)
}

// revokes sends what leads from a set to another, and returns the answer.
func (s *session) revokes(t *testing.T, base, from, to, as *revoked.Set) *pushv1.ClientMessage {
	t.Helper()
	v, b := as.Version(), []byte(nil)
	if base != nil {
		of := base.Version()
		b = of[:]
	}
	chunks := revoked.Diff(from, to).Chunks(1000)
	for i, c := range chunks {
		m := &pushv1.Revocations{Base: b, Version: v[:], Added: c.Added, Removed: c.Removed, More: i < len(chunks)-1}
		if err := s.Send(&pushv1.ServerMessage{Revocations: m}); err != nil {
			t.Fatal(err)
		}
	}
	return s.hears(t)
}

func TestRevocationsInChangesAndAfterARestart(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	c, at, _ := serve(t, "127.0.0.1:0", cert)
	f, s, l := files{t.TempDir()}, newSink(), source.LastGood{Dir: t.TempDir()}
	f.ca(t, ca)
	f.token(t, "token")
	_, stop := follow(t, at, f, s, l)
	stream := c.accept(t)
	if v := stream.hears(t).GetHello().GetRevocations(); len(v) != 0 {
		t.Errorf("a sidecar that has nothing says that it has revocations %x", v)
	}
	a, b, other := setOf(1000), setOf(1001), setOf(5)
	for name, tc := range map[string]struct {
		base, from, to, as *revoked.Set
	}{
		"a change of what it has not": {other, other, b, b}, "another set than said": {nil, nil, other, b},
	} {
		for first, x := range []*revoked.Set{a} {
			if m := stream.revokes(t, nil, nil, x, x); string(m.GetAck().GetRevocations()) != string(bytesOf(x)) {
				t.Fatalf("all of a set, %d: %v", first, m)
			}
		}
		if m := stream.revokes(t, tc.base, tc.from, tc.to, tc.as); string(m.GetNack().GetRevocations()) != string(bytesOf(tc.as)) || m.GetNack().GetReason() == "" {
			t.Errorf("%s: %v, want a NACK", name, m)
		}
		if got := s.revoked.Load(); got.Version() != a.Version() {
			t.Errorf("%s: %d entries are in force; want those before it", name, got.Len())
		}
	}
	if m := stream.revokes(t, a, a, b, b); string(m.GetAck().GetRevocations()) != string(bytesOf(b)) {
		t.Fatalf("a change: %v", m)
	}
	stop()
	s.revoked.Store(nil)
	follow(t, at, f, s, l)
	if v := c.accept(t).hears(t).GetHello().GetRevocations(); string(v) != string(bytesOf(b)) {
		t.Errorf("after a restart it says that it has %x", v)
	}
	if got := s.revoked.Load(); got.Version() != b.Version() {
		t.Errorf("after a restart %d entries are in force, want %d", got.Len(), b.Len())
	}
}

func bytesOf(s *revoked.Set) []byte { v := s.Version(); return v[:] }

func TestLastGoodRevocations(t *testing.T) {
	t.Parallel()
	l := source.LastGood{Dir: t.TempDir()}
	if s, err := l.LoadRevocations(); s != nil || err != nil {
		t.Errorf("without a file: %v, %v", s, err)
	}
	for _, n := range []int{100_000, 0, 10} {
		if err := l.SaveRevocations(setOf(n)); err != nil {
			t.Fatal(err)
		}
		if s, err := l.LoadRevocations(); err != nil || s.Version() != setOf(n).Version() {
			t.Errorf("%d entries are %d after a restart, %v", n, s.Len(), err)
		}
	}
	path := filepath.Join(l.Dir, "last-good-revocations")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{"cut": data[:len(data)-1], "an entry less": data[:len(data)-revoked.Size], "empty": nil} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := l.LoadRevocations(); err == nil {
			t.Errorf("%s: %d entries", name, s.Len())
		}
	}
}

// A copy that cannot be replaced is taken away; where that cannot be done either, the error tells.
func TestRevocationsThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	l := source.LastGood{Dir: t.TempDir()}
	if err := l.SaveRevocations(setOf(1)); err != nil {
		t.Fatal(err)
	}
	blocked := filepath.Join(l.Dir, "last-good-revocations.new", "in the way")
	if err := os.MkdirAll(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.SaveRevocations(setOf(2)); err == nil {
		t.Fatal("saved where nothing can be written")
	}
	if s, err := l.LoadRevocations(); s != nil || err != nil {
		t.Errorf("an older copy of %d entries stays, %v", s.Len(), err)
	}
}
