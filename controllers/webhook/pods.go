package webhook

import (
	"context"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

// podHandler injects pods as they are created.
type podHandler struct {
	cfg     Config
	decoder admission.Decoder
}

func (h *podHandler) handle(ctx context.Context, req admission.Request) answer {
	var pod corev1.Pod
	if err := h.decoder.Decode(req, &pod); err != nil {
		return failed(http.StatusBadRequest, "decode pod", err)
	}
	ns, err := h.namespace(ctx, req.Namespace)
	if err != nil {
		return failed(http.StatusInternalServerError, "read namespace of pod", err)
	}
	step := trace.Do(ctx, "inject")
	result, err := inject.Inject(&pod, h.cfg.Inject.In(ns))
	step.End(nil)
	if err != nil {
		return refused(err)
	}
	if !result.Injected() {
		return allowed(string(result.Reason), result.Warnings)
	}
	if req.DryRun == nil || !*req.DryRun {
		step := trace.Call(ctx, "publish certificate authority")
		err := h.cfg.PublishCA(ctx, req.Namespace)
		if step.End(err); err != nil {
			return failed(http.StatusInternalServerError, "publish the certificate authority for the pod", err)
		}
	}
	return changed(string(result.Reason), podPatch(&pod, result.Pod), result.Warnings)
}

// namespace reads what injection needs to know of a namespace.
func (h *podHandler) namespace(ctx context.Context, name string) (inject.Namespace, error) {
	var ns corev1.Namespace
	step := trace.Call(ctx, "read namespace")
	err := h.cfg.Namespaces.Get(ctx, client.ObjectKey{Name: name}, &ns)
	if step.End(err); err != nil {
		return inject.Namespace{}, err
	}
	return inject.Namespace{Name: name, Labels: ns.Labels, Annotations: ns.Annotations}, nil
}

// sidecarItem reports whether a container or volume of this name is the sidecar's.
func sidecarItem(name string) bool {
	switch name {
	case inject.SidecarName, inject.CaptureName, inject.IdentityVolume, inject.StateVolume, inject.TLSVolume, inject.ClientCAVolume, inject.TraceVolume,
		inject.TokensVolume:
		return true
	}
	return false
}
