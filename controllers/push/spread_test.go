package push

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

func TestHowManyStreamsAReplicaEnds(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		own    int
		others []int
		want   int
	}{
		"all are here":                          {10_000, []int{0}, 51},
		"all are here, and there are three":     {9_000, []int{0, 0}, 46},
		"as many as elsewhere":                  {5_000, []int{5_000}, 0},
		"within a fifth":                        {5_900, []int{4_100}, 0},
		"just beyond that":                      {6_015, []int{3_985}, 5},
		"others have more":                      {1_000, []int{9_000}, 0},
		"few sidecars may be anywhere":          {12, []int{0}, 0},
		"nobody is anywhere":                    {0, []int{0}, 0},
		"one other has all that are not here":   {100, []int{500, 0}, 0},
		"a little more than few are one by one": {40, []int{0}, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := toEnd(c.own, c.others); got != c.want {
				t.Errorf("ends %d, want %d", got, c.want)
			}
		})
	}
}

// ended is the lower end of a stream that notes that it was ended.
type ended struct {
	pushv1.Push_StreamServer
	what func()
}

func (e ended) WriteStatus(*status.Status) error { e.what(); return nil }

func (ended) SetTrailer(metadata.MD) {}

// rolledOut is a replica that has all sidecars, and another that has none.
type rolledOut struct {
	*Server
	t       *testing.T
	settled *compile.Ref
	moved   int
}

// open makes the stream of a pod anew.
func (r *rolledOut) open(uid string, settled bool) {
	c := &stream{opened: time.Now()}
	end := ended{what: func() { r.ended(uid, c) }}
	c.rpc, c.ending.stream = end, end
	if settled {
		c.acked = r.settled
	}
	r.namespaces["shop"][uid].stream = c
}

// ended has the sidecar connect again, to any of the two.
func (r *rolledOut) ended(uid string, c *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c.acked == nil:
		r.t.Error("a stream was ended on which a bundle is on its way")
	case time.Since(c.opened) < settledAge:
		r.t.Error("a stream was ended that has just come")
	}
	r.moved++
	if rand.N(2) == 0 {
		r.namespaces["shop"][uid].stream = nil
		r.replicas["other"].sidecars["shop"][uid] = Sidecar{}
		return
	}
	r.open(uid, true)
}

// count returns how many sidecars are here, and how many have moved.
func (r *rolledOut) count() (here, moved int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.namespaces["shop"] {
		if p.stream != nil {
			here++
		}
	}
	return here, r.moved
}

// TestStreamsSpreadAfterARollout begins with all of 1,000 sidecars at the replica that leads, a tenth of them with something unsettled.
func TestStreamsSpreadAfterARollout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Reviewer: &LocalReviewer{}})
		if err != nil {
			t.Fatal(err)
		}
		r := &rolledOut{Server: s, t: t, settled: &compile.Ref{Version: "v1"}}
		s.namespaces["shop"] = map[string]*pod{}
		for i := range 1000 {
			uid := fmt.Sprint(i)
			s.namespaces["shop"][uid] = &pod{namespace: "shop", uid: uid}
			r.open(uid, i%10 > 0)
		}
		s.replicas["other"] = &replica{since: time.Now(), sidecars: map[string]map[string]Sidecar{"shop": {}}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.spread(ctx) }()
		time.Sleep(settledAge - spreadEvery/2)
		if here, _ := r.count(); here != 1000 {
			t.Errorf("%d are left while the other replica has just come", here)
		}
		last := 0
		for range 10 * 60 {
			time.Sleep(time.Second)
			_, moved := r.count()
			if moved-last > 7 {
				t.Errorf("%d streams ended in a second", moved-last)
			}
			last = moved
		}
		if here, moved := r.count(); here > 610 || here < 500 || moved > 1200 {
			t.Errorf("%d are left after ten minutes, %d streams have ended; want about 600 of 1,000", here, moved)
		}
		time.Sleep(time.Hour)
		if _, moved := r.count(); moved != last {
			t.Errorf("%d streams were ended after they had spread", moved-last)
		}
		cancel()
		<-done
	})
}
