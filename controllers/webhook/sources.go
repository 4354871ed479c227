package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/revsource"
)

// sourceHandler validates RevocationSources.
type sourceHandler struct {
	decoder   admission.Decoder
	allowHTTP bool
}

func (h *sourceHandler) handle(_ context.Context, req admission.Request) answer {
	if req.Operation == admissionv1.Update && sameSpec(req.Object.Raw, req.OldObject.Raw) {
		return allowed("Unchanged", nil)
	}
	var s v1alpha1.RevocationSource
	if err := h.decoder.Decode(req, &s); err != nil {
		return refused(fmt.Errorf("decode RevocationSource: %w", err))
	}
	if err := revsource.Check(&s.Spec); err != nil {
		return refused(err)
	}
	issuer := s.Spec.AsIssuer()
	var warnings []string
	if issuer.Keys.JWKS != "" {
		set, err := inlineKeys(issuer)
		if err != nil {
			return refused(fmt.Errorf("spec.keys.jwks: %w; want a JWK Set of public keys", err))
		}
		for _, note := range set.Notes() {
			warnings = append(warnings, "spec.keys.jwks: "+note)
		}
	}
	if req.Operation == admissionv1.Update {
		var old v1alpha1.RevocationSource
		if err := h.decoder.DecodeRaw(req.OldObject, &old); err == nil && old.Spec.Issuer != s.Spec.Issuer {
			return refused(errors.New("spec.issuer: cannot be changed: what was taken back was of the former one; make another RevocationSource"))
		}
	}
	if x := s.Spec.SharedSignals; x != nil {
		warnings = append(warnings, plainTransmitter(x.Transmitter, h.allowHTTP)...)
	}
	return allowed("", append(warnings, plainHTTP("spec", issuer, h.allowHTTP)...))
}

// plainTransmitter warns of a credential that is shown to whoever is on the way.
func plainTransmitter(url string, allowHTTP bool) []string {
	switch {
	case !strings.HasPrefix(strings.ToLower(url), "http://"):
		return nil
	case allowHTTP:
		return []string{"spec.sharedSignals.transmitter: plain http: whoever is on the way sees the token"}
	}
	return []string{"spec.sharedSignals.transmitter: plain http, which the controller does not speak: it runs without --key-allow-http"}
}
