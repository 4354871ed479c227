package webhook

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/bearerguard/bearerguard/controllers/trace"
)

// told adds to the trace of a request what it was about, and what came of it. The text of a refusal quotes the object, so it is for the log.
func told(ctx context.Context, path string, req *admission.Request, a answer) {
	w := trace.Of(ctx)
	if w == nil {
		return
	}
	w.Text("bearerguard.webhook", path[1:])
	w.Text("bearerguard.admission.uid", string(req.UID))
	w.Text("bearerguard.admission.operation", string(req.Operation))
	w.Text("bearerguard.object.kind", req.Kind.Kind)
	w.Text("bearerguard.object.name", req.Name)
	w.Text("k8s.namespace.name", req.Namespace)
	if req.DryRun != nil && *req.DryRun {
		w.Text("bearerguard.admission.dry_run", "true")
	}
	w.Text("bearerguard.result", a.result)
	w.Text("bearerguard.reason", a.reason)
	if a.result == resultError {
		w.Fail("error")
	}
}
