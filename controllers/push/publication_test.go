package push_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/api/tracing/tracingtest"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// giveBelow is give as a step of a trace that is sampled, which ends at once.
func (r *replica) giveBelow(t *tracing.Tracer, bundles map[string]*compile.Bundle) {
	span := t.Start(nil, tracing.Internal, time.Now())
	targets := map[string]push.Target{}
	for name, b := range bundles {
		targets["uid-"+name] = push.Target{Pod: name, Bundle: b}
	}
	r.SetBelow(span, "shop", targets)
	span.End("reconcile", time.Now(), false)
}

// published waits until there are so many publications, and returns the last.
func (r *replica) published(t *testing.T, sink *tracingtest.Spans, n int) tracingtest.Span {
	t.Helper()
	r.until(t, fmt.Sprintf("there are %d publications", n), func(map[string]push.Sidecar) bool { return len(sink.Named("publish")) >= n })
	all, err := sink.All()
	if err != nil {
		t.Fatal(err)
	}
	last := sink.Named("publish")[n-1]
	for _, x := range all {
		if x.ID == last.Parent && x.Trace == last.Trace {
			return last
		}
	}
	t.Errorf("the publication %+v is not below a reconciliation: %+v", last, all)
	return last
}

// A publication is one span, below the reconciliation, that lasts until the sidecars have answered, and says how.
func TestTheTraceOfAPublication(t *testing.T) {
	t.Parallel()
	sink := &tracingtest.Spans{}
	tracer := tracing.NewTracer(sink, tracing.Options{Ratio: 1, PerSecond: 1000})
	r := startReplica(t, newCertificate(t), nil)
	a, b := r.connect(t, r.tokens.mint("a", time.Now().Add(time.Hour), nil), ""), r.connect(t, r.tokens.mint("b", time.Now().Add(time.Hour), nil), "")
	r.until(t, "both are connected", func(s map[string]push.Sidecar) bool { return len(s) == 2 })

	r.giveBelow(tracer, map[string]*compile.Bundle{"a": newBundle("v1", 1), "b": newBundle("v1", 1), "absent": newBundle("v1", 1)})
	a.expect(newBundle("v1", 1))
	a.ack("v1")
	r.until(t, "a has it", func(s map[string]push.Sidecar) bool { return s["uid-a"].Acked != nil })
	if n := len(sink.Named("publish")); n != 0 {
		t.Error("the publication has ended before all have answered")
	}
	b.expect(newBundle("v1", 1))
	b.nack("v1", "it has a secret-text")
	got := r.published(t, sink, 1)
	version := map[string]string{"bearerguard.bundle.version": "v1"}
	want := tracingtest.Span{
		Name: "publish", Kind: 1, Failed: true,
		Attrs:  map[string]string{"k8s.namespace.name": "shop", "bearerguard.sidecars": "2", "bearerguard.sidecars.acknowledged": "1", "bearerguard.sidecars.refused": "1", "error.type": "refused"},
		Events: []tracingtest.Event{{Name: "acknowledged", Attrs: with(version, "k8s.pod.name", "a")}, {Name: "refused", Attrs: with(version, "k8s.pod.name", "b")}},
	}
	got.Trace, got.ID, got.Parent, got.Took = "", "", "", 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// One is given something newer before it has answered, the other goes away.
	r.giveBelow(tracer, map[string]*compile.Bundle{"a": newBundle("v2", 2), "b": newBundle("v2", 2)})
	if err := b.rpc.CloseSend(); err != nil {
		t.Fatal(err)
	}
	r.until(t, "b is gone", func(s map[string]push.Sidecar) bool { return !s["uid-b"].Lost.IsZero() })
	r.giveBelow(tracer, map[string]*compile.Bundle{"a": newBundle("v3", 3), "b": newBundle("v3", 3)})
	second := r.published(t, sink, 1+1)
	if second.Attrs["bearerguard.sidecars.lost"] != "1" || second.Attrs["bearerguard.sidecars.replaced"] != "1" || second.Failed {
		t.Errorf("%+v", second)
	}
	a.expect(newBundle("v2", 2))
	a.expect(newBundle("v3", 3))
	a.ack("v3")
	if third := r.published(t, sink, 3); third.Attrs["bearerguard.sidecars.acknowledged"] != "1" || third.Attrs["bearerguard.sidecars"] != "1" || third.Failed {
		t.Errorf("%+v", third)
	}
}

func with(m map[string]string, name, value string) map[string]string {
	out := map[string]string{name: value}
	for k, v := range m {
		out[k] = v
	}
	return out
}
