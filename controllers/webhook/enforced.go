package webhook

import (
	"context"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

// enforcedHandler refuses pods of enforced namespaces that do not carry the guard that injection gives.
type enforcedHandler struct {
	cfg       Config
	decoder   admission.Decoder
	namespace func(context.Context, string) (inject.Namespace, error)
}

func (h *enforcedHandler) handle(ctx context.Context, req admission.Request) answer {
	var pod corev1.Pod
	if err := h.decoder.Decode(req, &pod); err != nil {
		return failed(http.StatusBadRequest, "decode pod", err)
	}
	ns, err := h.namespace(ctx, req.Namespace)
	if err != nil {
		return failed(http.StatusInternalServerError, "read namespace of pod", err)
	}
	if !ns.Enforced() {
		return allowed("NotEnforced", nil)
	}
	if err := inject.Verify(&pod, h.cfg.Inject.In(ns)); err != nil {
		return refused(fmt.Errorf("the namespace enforces the guard: %w", err))
	}
	return allowed("Guarded", nil)
}
