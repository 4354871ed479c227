package tracing_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/api/tracing/tracingtest"
)

// A span has its events, and one that was forked off it outlasts it in the same trace, whatever is made of the memory of the first.
func TestEventsAndForks(t *testing.T) {
	t.Parallel()
	sink, now := &tracingtest.Spans{}, time.Now()
	tracer := tracing.NewTracer(sink, tracing.Options{Ratio: 1, PerSecond: 100})
	s := tracer.Start([]string{given}, tracing.Server, now)
	fork := s.Fork(tracing.Internal, now.Add(time.Second))
	fork.Attrs().Int("sidecars", 3)
	s.Events().Add("first", now, func(a *tracing.Attrs) { a.Text("k8s.pod.name", "a"); a.Int("n", 7) })
	s.Events().Add("second", now, nil)
	s.Events().Drop()
	s.Attrs().Text("k", "v")
	s.End("whole", now.Add(time.Second), true)
	other := tracer.Start(nil, tracing.Internal, now) // it may have the first one's memory
	other.End("other", now, false)
	fork.Events().Add("late", now, nil)
	fork.End("fork", now.Add(3*time.Second), false)

	all, err := sink.All()
	if err != nil {
		t.Fatal(err)
	}
	want := []tracingtest.Span{
		{Name: "whole", Trace: given[3:35], Parent: given[36:52], Kind: 2, Attrs: map[string]string{"k": "v"}, Failed: true, Took: time.Second, Dropped: 1, Events: []tracingtest.Event{
			{Name: "first", Attrs: map[string]string{"k8s.pod.name": "a", "n": "7"}}, {Name: "second", Attrs: map[string]string{}},
		}},
		{Name: "other", Trace: all[1].Trace, Kind: 1, Attrs: map[string]string{}},
		{Name: "fork", Trace: given[3:35], Parent: all[0].ID, Kind: 1, Attrs: map[string]string{"sidecars": "3"}, Took: 2 * time.Second, Events: []tracingtest.Event{{Name: "late", Attrs: map[string]string{}}}},
	}
	if diff := cmp.Diff(want, all, cmpopts.IgnoreFields(tracingtest.Span{}, "ID")); diff != "" {
		t.Error(diff)
	}
	if all[1].Trace == all[0].Trace {
		t.Error("another trace has the id of the first")
	}
}
