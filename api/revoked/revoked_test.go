package revoked_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
)

var now = time.Unix(1_800_000_000, 0)

const issuer = "https://login.example.com"

func at(d time.Duration) *policy.Time { return &policy.Time{Time: now.Add(d)} }

func of(entries ...policy.RevocationEntry) policy.Revocation {
	return policy.Revocation{Issuer: issuer, Entries: entries}
}

// jtis are entries for jti from..to-1.
func jtis(from, to int) (r policy.Revocation) {
	r.Issuer = issuer
	for i := from; i < to; i++ {
		r.Entries = append(r.Entries, policy.RevocationEntry{JTI: strconv.Itoa(i), ExpiresAt: at(time.Hour)})
	}
	return r
}

func has(s *revoked.Set, jti string) bool {
	return s.Revokes(revoked.KeyOf(revoked.JTI, issuer, jti), 0, now.Unix())
}

// send applies a delta in chunks of most bytes.
func send(base, like *revoked.Set, d revoked.Delta, to revoked.Version, most int) (*revoked.Set, error) {
	a := revoked.NewApplier(base)
	for _, c := range d.Chunks(most) {
		if len(c.Added)+len(c.Removed) > most {
			return nil, errors.New("a chunk is too large")
		}
		if err := a.Take(c); err != nil {
			return nil, err
		}
	}
	return a.Finish(to, like)
}

func TestADeltaLeadsFromOneSetToAnother(t *testing.T) {
	t.Parallel()
	sets := map[string]*revoked.Set{
		"none": nil, "one": revoked.SetOf(jtis(0, 1)), "some": revoked.SetOf(jtis(0, 1000)), "others": revoked.SetOf(jtis(500, 2000)),
		"many": revoked.SetOf(jtis(0, 50_000)), "one more": revoked.SetOf(jtis(0, 50_001)),
		"other times": revoked.SetOf(of(policy.RevocationEntry{JTI: "0"}), jtis(1, 1000)),
	}
	for old, a := range sets {
		for now, b := range sets {
			for _, most := range []int{40, 1 << 20} {
				got, err := send(a, a, revoked.Diff(a, b), b.Version(), most)
				if err != nil || got.Version() != b.Version() || got.Len() != b.Len() {
					t.Errorf("from %s to %s in chunks of %d bytes: %d entries, want %d; error %v", old, now, most, got.Len(), b.Len(), err)
				}
				if (old == now) != (a.Version() == b.Version()) {
					t.Errorf("versions of %s and %s", old, now)
				}
			}
		}
	}
	d := revoked.Diff(sets["many"], sets["one more"])
	if chunks := d.Chunks(1 << 20); d.Len() != 1 || len(chunks) != 1 || len(chunks[0].Added) != revoked.Size {
		t.Errorf("one more entry makes a delta of %d", d.Len())
	}
}

func TestADeltaThatDoesNotFit(t *testing.T) {
	t.Parallel()
	a, b, c := revoked.SetOf(jtis(0, 10)), revoked.SetOf(jtis(0, 20)), revoked.SetOf(jtis(5, 30))
	for name, tc := range map[string]struct {
		base  *revoked.Set
		delta revoked.Delta
		to    *revoked.Set
	}{
		"of another base":        {nil, revoked.Diff(a, b), b},
		"which adds what is":     {b, revoked.Diff(a, b), b},
		"which takes what isn't": {a, revoked.Diff(b, a), a},
		"to another version":     {a, revoked.Diff(a, b), c},
	} {
		if got, err := send(tc.base, nil, tc.delta, tc.to.Version(), 1<<20); !errors.Is(err, revoked.ErrOtherSet) {
			t.Errorf("a delta %s: %d entries, error %v", name, got.Len(), err)
		}
	}
	one, two := make([]byte, revoked.Size), make([]byte, revoked.Size)
	one[0], two[0] = 1, 2
	for name, chunks := range map[string][]revoked.Chunk{
		"half an entry":              {{Added: one[:10]}},
		"half an entry removed":      {{Removed: one[:10]}},
		"twice the same":             {{Added: one}, {Added: one}},
		"not sorted":                 {{Added: append(append([]byte(nil), two...), one...)}},
		"not sorted over two chunks": {{Removed: two}, {Removed: one}},
	} {
		applier := revoked.NewApplier(nil)
		var err error
		for _, c := range chunks {
			err = errors.Join(err, applier.Take(c))
		}
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAReplacedPart(t *testing.T) {
	t.Parallel()
	was, want := revoked.SetOf(jtis(0, 1000)), revoked.SetOf(jtis(0, 1001))
	is, more := jtis(0, 1000), jtis(1000, 1001)
	number := revoked.KeyOf(revoked.JTI, issuer, "1000")[0]
	got := was.Replace(map[byte][]revoked.List{number: {revoked.ListOf(&is).Part(number), revoked.ListOf(&more).Part(number), revoked.ListOf(&more)}})
	if got.Version() != want.Version() || got.Len() != 1001 {
		t.Errorf("%d entries, want those of a set made at once", got.Len())
	}
}

func TestListsLeaveOutWhatSaysNothingMore(t *testing.T) {
	t.Parallel()
	s := func(before, expires *policy.Time) policy.RevocationEntry {
		return policy.RevocationEntry{Subject: "s", IssuedBefore: before, ExpiresAt: expires}
	}
	for name, tc := range map[string]struct {
		entries []policy.RevocationEntry
		want    int
	}{
		"the same twice":           {[]policy.RevocationEntry{s(nil, nil), s(nil, nil)}, 1},
		"one for ever":             {[]policy.RevocationEntry{s(at(0), nil), s(nil, nil), s(nil, at(0))}, 1},
		"an earlier one":           {[]policy.RevocationEntry{s(at(0), nil), s(at(-time.Hour), nil)}, 1},
		"each has its own":         {[]policy.RevocationEntry{s(at(0), nil), s(at(time.Hour), at(time.Hour))}, 2},
		"two of three":             {[]policy.RevocationEntry{s(at(0), nil), s(at(time.Hour), at(time.Hour)), s(at(-time.Hour), at(time.Minute))}, 2},
		"what names nothing":       {[]policy.RevocationEntry{{}, {JTI: "a", Subject: "b"}}, 0},
		"the same by another name": {[]policy.RevocationEntry{{Subject: "a"}, {JTI: "a"}, {Session: "a"}}, 3},
	} {
		r := of(tc.entries...)
		if got := len(revoked.ListOf(&r)); got != tc.want {
			t.Errorf("%s: %d entries, want %d", name, got, tc.want)
		}
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	r := of(policy.RevocationEntry{JTI: "over", ExpiresAt: at(0)}, policy.RevocationEntry{JTI: "soon", ExpiresAt: at(time.Minute)}, policy.RevocationEntry{JTI: "always"})
	live, next := revoked.ListOf(&r).Live(now)
	if len(live) != 2 || !next.Equal(now.Add(time.Minute)) {
		t.Errorf("%d are live, the next ends at %s", len(live), next)
	}
	if _, next = live.Live(now.Add(time.Hour)); !next.IsZero() {
		t.Errorf("one that is for ever ends at %s", next)
	}
}

// A million entries take 20 bytes each, also in a set made by a delta, and one more costs little.
func TestMillionEntries(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	s := revoked.SetOf(jtis(0, revoked.Most))
	before := heap()
	received, err := send(nil, nil, revoked.Diff(nil, s), s.Version(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	each := float64(heap()-before) / revoked.Most
	t.Logf("%.1f bytes an entry", each)
	if each > 22 {
		t.Errorf("%.1f bytes an entry in memory", each)
	}
	wire := 0
	for _, c := range revoked.Diff(nil, s).Chunks(1 << 20) {
		wire += len(c.Added) + len(c.Removed)
	}
	if wire != revoked.Size*revoked.Most {
		t.Errorf("%d bytes on the wire", wire)
	}
	for range 10_000 {
		if n := rand.IntN(revoked.Most); !has(received, strconv.Itoa(n)) || has(received, strconv.Itoa(n+revoked.Most)) { //nolint:gosec // any will do
			t.Fatalf("wrong for %d", n)
		}
	}
	runtime.KeepAlive(s)
	if err := revoked.NewApplier(nil).Take(revoked.Chunk{Added: make([]byte, revoked.Size*(revoked.Most+1))}); err == nil {
		t.Error("more than the bound is taken")
	}
}

func FuzzTake(f *testing.F) {
	d := revoked.Diff(nil, revoked.SetOf(jtis(0, 3)))
	f.Add(d.Chunks(1 << 20)[0].Added, []byte{})
	f.Add([]byte("x"), []byte("y"))
	base := revoked.SetOf(jtis(0, 2))
	f.Fuzz(func(t *testing.T, added, removed []byte) {
		a := revoked.NewApplier(base)
		if a.Take(revoked.Chunk{Added: added, Removed: removed}) != nil {
			return
		}
		if s, err := a.Finish(base.Version(), base); err == nil && (s.Version() != base.Version() || s.Len() != base.Len()) {
			t.Error("a set is not what its version says")
		}
	})
}

func BenchmarkOneMore(b *testing.B) {
	s, list := revoked.SetOf(jtis(0, revoked.Most-1)), jtis(revoked.Most, revoked.Most+1)
	one := revoked.ListOf(&list)
	number := one[0][0]
	var all []revoked.List
	for l := range s.Lists {
		all = append(all, l.Part(number))
	}
	all = append(all, one)
	b.ReportAllocs()
	for b.Loop() {
		next := s.Replace(map[byte][]revoked.List{number: all})
		if _, err := send(s, s, revoked.Diff(s, next), next.Version(), 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRevokes(b *testing.B) {
	s := revoked.SetOf(jtis(0, revoked.Most))
	var keys [1024]revoked.Key
	for i := range keys {
		keys[i] = revoked.KeyOf(revoked.JTI, issuer, strconv.Itoa(i*1500))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Revokes(keys[i%len(keys)], math.MinInt64, now.Unix())
		i++
	}
}
