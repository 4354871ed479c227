package trace_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/api/tracing/tracingtest"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

func newTracer(ratio float64) (*tracing.Tracer, *tracingtest.Spans) {
	sink := &tracingtest.Spans{}
	return tracing.NewTracer(sink, tracing.Options{Ratio: ratio, PerSecond: 1000}), sink
}

func TestAReconciliationIsASpan(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "secret-name", errors.New("secret-text"))
	for name, tt := range map[string]struct {
		result reconcile.Result
		err    error
		want   map[string]string
	}{
		"that is done":                  {reconcile.Result{}, nil, map[string]string{"bearerguard.result": "done"}},
		"that looks again":              {reconcile.Result{RequeueAfter: time.Second}, nil, map[string]string{"bearerguard.result": "later"}},
		"that the API server refuses":   {reconcile.Result{}, forbidden, map[string]string{"bearerguard.result": "failed", "error.type": "Forbidden"}},
		"that fails":                    {reconcile.Result{}, errors.New("secret-text"), map[string]string{"bearerguard.result": "failed", "error.type": "_OTHER"}},
		"that has no time left":         {reconcile.Result{}, context.DeadlineExceeded, map[string]string{"bearerguard.result": "failed", "error.type": "timeout"}},
		"that ends with the controller": {reconcile.Result{}, context.Canceled, map[string]string{"bearerguard.result": "failed", "error.type": "canceled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracer, sink := newTracer(1)
			r := trace.Namespaced(tracer, "compile", reconcile.TypedFunc[string](func(ctx context.Context, _ string) (reconcile.Result, error) {
				step := trace.Call(ctx, "write status")
				step.Text("bearerguard.object.name", "orders")
				step.End(tt.err)
				return tt.result, tt.err
			}))
			result, err := r.Reconcile(t.Context(), "shop")
			if result != tt.result || !errors.Is(err, tt.err) {
				t.Errorf("the reconciler's answer became %v, %v", result, err)
			}
			all, err := sink.All()
			if err != nil || len(all) != 2 {
				t.Fatal(all, err)
			}
			tt.want["k8s.namespace.name"], tt.want["bearerguard.controller"] = "shop", "compile"
			call := map[string]string{"bearerguard.object.name": "orders"}
			if e := tt.want["error.type"]; e != "" {
				call["error.type"] = e
			}
			want := []tracingtest.Span{
				{Name: "write status", Trace: all[1].Trace, Parent: all[1].ID, Kind: 3, Attrs: call, Failed: tt.err != nil},
				{Name: "reconcile compile", Trace: all[1].Trace, Kind: 1, Attrs: tt.want, Failed: tt.err != nil},
			}
			if diff := cmp.Diff(want, all, cmpopts.IgnoreFields(tracingtest.Span{}, "ID", "Took")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// However many steps there are, a span has so many children, and says how many it has not.
func TestPartsAreBounded(t *testing.T) {
	t.Parallel()
	tracer, sink := newTracer(1)
	w := trace.Begin(tracer, tracing.Internal, nil)
	ctx := trace.With(t.Context(), w)
	for range 1000 {
		trace.Do(ctx, "step").End(nil)
	}
	w.End("whole")
	if n := len(sink.Named("step")); n != 64 || sink.Named("whole")[0].Attrs["bearerguard.parts_left_out"] != "936" {
		t.Errorf("%d children, %v", n, sink.Named("whole")[0].Attrs)
	}
}

// Traces that are off leave handlers and reconcilers as they are.
func TestOffIsFree(t *testing.T) { //nolint:paralleltest // it counts allocations
	h := http.NewServeMux()
	if got := trace.Handler(nil, "x", h); got != http.Handler(h) {
		t.Error("a handler is wrapped although nothing is traced")
	}
	r := &nothing{}
	if got := trace.Namespaced(nil, "x", r); got != reconcile.TypedReconciler[string](r) {
		t.Error("a reconciler is wrapped although nothing is traced")
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		step := trace.Do(ctx, "step")
		step.Text("a", "b")
		step.Int("c", 1)
		step.End(nil)
		trace.Begin(nil, tracing.Internal, nil).End("x")
	}); n != 0 {
		t.Errorf("what is not traced allocates %v times", n)
	}
}

type nothing struct{}

// Reconcile does nothing.
func (*nothing) Reconcile(context.Context, string) (reconcile.Result, error) {
	return reconcile.Result{}, nil
}

// A request is a child of its sampled parent, is not traced where the parent is not, and begins a trace by the ratio where it has none.
func TestARequestHasTheParentThatItSays(t *testing.T) {
	t.Parallel()
	const ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
	for name, tt := range map[string]struct {
		ratio  float64
		parent []string
		want   int
		below  bool
	}{
		"a sampled parent":             {0, []string{"00-" + ids + "-01"}, 1, true},
		"one that is not":              {1, []string{"00-" + ids + "-00"}, 0, false},
		"one that cannot be read":      {0, []string{"00-" + ids}, 0, false},
		"two":                          {0, []string{"00-" + ids + "-01", "00-" + ids + "-01"}, 0, false},
		"none":                         {0, nil, 0, false},
		"none, where all are sampled":  {1, nil, 1, false},
		"two, where roots are sampled": {1, []string{"00-" + ids + "-01", "00-" + ids + "-01"}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tracer, sink := newTracer(tt.ratio)
			asked := false
			h := trace.Handler(tracer, "admission", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				asked = true
				if traced := trace.Of(r.Context()) != nil; traced != (tt.want > 0) {
					t.Errorf("the context has a trace: %v", traced)
				}
			}))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
			r.Header["Traceparent"] = tt.parent
			h.ServeHTTP(httptest.NewRecorder(), r)
			got := sink.Named("admission")
			if !asked || len(got) != tt.want || tt.want > 0 && (got[0].Trace+"-"+got[0].Parent == ids) != tt.below {
				t.Errorf("asked %v, spans %+v", asked, got)
			}
		})
	}
}
