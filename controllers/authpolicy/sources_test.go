package authpolicy

import (
	"crypto/sha256"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/revstore"
)

// chunkNamed is a chunk of a source, whose UID is its name.
func chunkNamed(name, source string, generation int64, n int, last time.Time) revstore.Object {
	o := revstore.Object{Spec: revstore.Chunk{Source: source, Entries: entries(n), LastEvent: last}}
	o.Name, o.UID, o.Generation = name, types.UID(name), generation
	o.OwnerReferences = []metav1.OwnerReference{{Kind: "RevocationSource", Name: source, UID: types.UID(source)}}
	return o
}

// A source has got as far as the sidecar that uses least: a set that was made before its newest chunk does not count.
func TestHowFarASourceIs(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	one, grown := chunkNamed("c1", "login", 1, 5, at), chunkNamed("c1", "login", 2, 6, at.Add(time.Second))
	two, merged := chunkNamed("c2", "login", 1, 1, at.Add(time.Minute)), chunkNamed("c3", "login", 1, 7, at.Add(time.Minute))
	other := chunkNamed("o1", "other", 1, 9, at)
	type made struct {
		version string
		chunks  []revstore.Object
	}
	for name, tc := range map[string]struct {
		made    []made
		uses    string
		want    bool
		entries int
	}{
		"what it was given":                    {[]made{{"v1", []revstore.Object{one}}}, "v1", true, 5},
		"a chunk grows":                        {[]made{{"v1", []revstore.Object{one}}, {"v2", []revstore.Object{grown}}}, "v1", false, 6},
		"a chunk has grown, and is there":      {[]made{{"v1", []revstore.Object{one}}, {"v2", []revstore.Object{grown}}}, "v2", true, 6},
		"one more chunk":                       {[]made{{"v1", []revstore.Object{grown}}, {"v2", []revstore.Object{grown, two}}}, "v1", false, 7},
		"chunks are merged":                    {[]made{{"v2", []revstore.Object{grown, two}}, {"v2", []revstore.Object{merged}}}, "v2", true, 7},
		"another source has more":              {[]made{{"v1", []revstore.Object{one}}, {"v2", []revstore.Object{one, other}}}, "v1", true, 5},
		"a set of another replica":             {[]made{{"v1", []revstore.Object{one}}}, "v0", false, 5},
		"a set that was made before and again": {[]made{{"v1", []revstore.Object{one}}, {"v2", []revstore.Object{one, other}}, {"v1", []revstore.Object{one}}}, "v1", true, 5},
	} {
		var h history
		var sources map[string]*sourceEntries
		for _, m := range tc.made {
			sources = gatherSources(m.chunks, nil, sources)
			h.note(withSources(nil, sources), revoked.Version(sha256.Sum256([]byte(m.version))))
		}
		acked, _ := h.reach(uses(tc.uses))
		came, ok := h.came(sources["login"].ref)
		if got := acked >= came; !ok || got != tc.want || sources["login"].entries != tc.entries {
			t.Errorf("%s: %v of %d entries, want %v of %d", name, got, sources["login"].entries, tc.want, tc.entries)
		}
	}
	sources := gatherSources([]revstore.Object{one, other}, []compile.RevocationOutcome{
		{Ref: compile.RevocationRef{Name: chunkPrefix + "o1", UID: "o1"}, Problem: errors.New("no room")},
	}, nil)
	if sources["login"].problem != nil || sources["other"].problem == nil || !sources["login"].last.Equal(at) {
		t.Errorf("%+v, %+v", sources["login"], sources["other"])
	}
}

func TestOfSourcesNothingIsKnownBeforeSetup(t *testing.T) {
	t.Parallel()
	var r Reached
	if r.Of(t.Context(), "shop") != nil {
		t.Error("something is known")
	}
}

// A set of a million entries changes twice a second at most, however many events come; one that is small, or has rested, at once.
func TestALargeSetIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for n, want := range map[int]time.Duration{0: 0, 1000: 500 * time.Microsecond, revoked.Most: 500 * time.Millisecond} {
			s := &revokedSpace{entries: n, handed: time.Now()}
			if got := s.rest(time.Now()); got != want {
				t.Errorf("%d entries rest %s, want %s", n, got, want)
			}
			time.Sleep(want)
			if got := s.rest(time.Now()); got > 0 {
				t.Errorf("%d entries rest %s still", n, got)
			}
		}
		if got := (&revokedSpace{entries: revoked.Most}).rest(time.Now()); got > 0 {
			t.Errorf("a set that was never handed out rests %s", got)
		}
	})
}
