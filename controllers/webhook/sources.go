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
	mayRead   func(ctx context.Context, namespace, secret string) (bool, error)
}

func (h *sourceHandler) handle(ctx context.Context, req admission.Request) answer {
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
	secrets := secretsOf("spec", issuer)
	if x := s.Spec.SharedSignals; x != nil {
		secrets = append(secrets, named{"spec.sharedSignals.credentialsSecretRef", x.CredentialsSecretRef.Name})
		warnings = append(warnings, plainTransmitter(x.Transmitter, h.allowHTTP)...)
	}
	warnings = append(warnings, plainHTTP("spec", issuer, h.allowHTTP)...)
	return allowed("", append(warnings, closedTo(ctx, h.mayRead, req.Namespace, secrets)...))
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
