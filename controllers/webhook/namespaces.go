package webhook

import (
	"context"
	"maps"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

// namespaceHandler validates the defaults that namespaces have for their pods.
type namespaceHandler struct {
	decoder admission.Decoder
}

func (h *namespaceHandler) handle(_ context.Context, req admission.Request) answer {
	var ns corev1.Namespace
	if err := h.decoder.Decode(req, &ns); err != nil {
		return failed(http.StatusBadRequest, "decode namespace", err)
	}
	if req.Operation == admissionv1.Update {
		var old corev1.Namespace
		if err := h.decoder.DecodeRaw(req.OldObject, &old); err == nil && maps.Equal(own(old.Annotations), own(ns.Annotations)) {
			return allowed("Unchanged", nil)
		}
	}
	if err := inject.CheckNamespace(inject.Namespace{Name: ns.Name, Annotations: ns.Annotations}); err != nil {
		return refused(err)
	}
	return allowed("", nil)
}
