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

// namespaceHandler validates what namespaces ask for and the defaults that they have for their pods.
type namespaceHandler struct {
	decoder admission.Decoder
}

func (h *namespaceHandler) handle(_ context.Context, req admission.Request) answer {
	var ns corev1.Namespace
	if err := h.decoder.Decode(req, &ns); err != nil {
		return failed(http.StatusBadRequest, "decode namespace", err)
	}
	now := inject.Namespace{Name: ns.Name, Labels: ns.Labels, Annotations: ns.Annotations}
	var warnings []string
	if req.Operation == admissionv1.Update {
		var old corev1.Namespace
		if err := h.decoder.DecodeRaw(req.OldObject, &old); err == nil {
			if maps.Equal(own(old.Annotations), own(ns.Annotations)) && maps.Equal(own(old.Labels), own(ns.Labels)) {
				return allowed("Unchanged", nil)
			}
			before := inject.Namespace{Name: ns.Name, Labels: old.Labels}
			warnings = append(inject.Opened(before, now), inject.Moved(before, now)...)
		}
	}
	if err := inject.CheckNamespace(now); err != nil {
		return refused(err)
	}
	return allowed("", warnings)
}
