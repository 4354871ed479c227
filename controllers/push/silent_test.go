package push

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/api/tracing/tracingtest"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// nobody reviews tokens.
type nobody struct{}

// Review refuses.
func (nobody) Review(context.Context, string) (Identity, error) { return Identity{}, ErrRefused }

// However many sidecars there are, few are named in the trace of a publication; those that say nothing end it after a while, and are counted.
func TestSilentSidecarsEndTheTraceOfAPublication(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Reviewer: nobody{}})
		if err != nil {
			t.Fatal(err)
		}
		const sidecars, silent = 1000, 10
		bundle := &compile.Bundle{Ref: &compile.Ref{Version: "v1"}}
		pods, targets := map[string]*pod{}, map[string]Target{}
		for i := range sidecars {
			uid := fmt.Sprint(i)
			pods[uid] = &pod{namespace: "shop", name: uid, uid: uid, stream: &stream{stand: func() {}, unsettled: []sent{{ref: bundle.Ref}}}}
			targets[uid] = Target{Pod: uid, Bundle: bundle}
		}
		s.namespaces["shop"] = pods
		sink := &tracingtest.Spans{}
		began := time.Now()
		s.SetBelow(tracing.NewTracer(sink, tracing.Options{Ratio: 1, PerSecond: 1}).Start(nil, tracing.Internal, began), "shop", targets)
		for i := range sidecars - silent {
			p := pods[fmt.Sprint(i)]
			s.acked(p, p.stream, "v1")
		}
		if n := len(sink.Named("publish")); n != 0 {
			t.Fatal("the publication has ended before all have answered")
		}
		time.Sleep(publicationTime + time.Second)
		got := sink.Named("publish")
		if len(got) != 1 || len(got[0].Events) != maxAcks || got[0].Dropped != sidecars-silent-maxAcks || got[0].Attrs["bearerguard.sidecars.silent"] != fmt.Sprint(silent) ||
			!got[0].Failed || got[0].Attrs["error.type"] != "timeout" || got[0].Took != publicationTime {
			t.Errorf("%+v", got)
		}
		for _, p := range pods {
			if p.publication != nil {
				t.Fatal("a pod keeps a publication that has ended")
			}
		}
	})
}
