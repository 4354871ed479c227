package trace

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bearerguard/bearerguard/api/tracing"
)

// The results of a reconciliation.
const (
	resultDone   = "done"
	resultLater  = "later" // it is to be looked at again at a time of its own
	resultFailed = "failed"
)

// Reconciler returns r with a span for each time that it is called; r itself where there is no tracer. name is the controller's, and
// namespace returns that of a key.
func Reconciler[K comparable](t *tracing.Tracer, name string, r reconcile.TypedReconciler[K], namespace func(K) string) reconcile.TypedReconciler[K] {
	if t == nil {
		return r
	}
	return reconcile.TypedFunc[K](func(ctx context.Context, key K) (reconcile.Result, error) {
		w := Begin(t, tracing.Internal, nil)
		if w == nil {
			return r.Reconcile(ctx, key)
		}
		result, err := r.Reconcile(With(ctx, w), key)
		w.Text("k8s.namespace.name", namespace(key))
		w.Text("bearerguard.controller", name)
		switch {
		case err != nil:
			w.Text("bearerguard.result", resultFailed)
			w.Fail(ErrorType(err))
		case result.RequeueAfter > 0:
			w.Text("bearerguard.result", resultLater)
		default:
			w.Text("bearerguard.result", resultDone)
		}
		w.End("reconcile " + name)
		return result, err
	})
}

// Namespaced is a Reconciler whose keys are namespaces.
func Namespaced(t *tracing.Tracer, name string, r reconcile.TypedReconciler[string]) reconcile.TypedReconciler[string] {
	return Reconciler(t, name, r, func(namespace string) string { return namespace })
}
