package webhook_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bearerguard/bearerguard/controllers/webhook"
)

// What the controller's roles keep from it is said where it is named, and whether there is such a Secret is not.
func TestSecretsThatTheControllerMayNotRead(t *testing.T) {
	t.Parallel()
	const spec = `{issuers: [{name: a, issuer: "https://a.test", audiences: [b], caSecretRef: {name: open, key: k}, keys: {jwksURL: "https://a.test/k"}, proof: {dpop: Required, publicURLs: ["https://b.test"], nonceSecretRef: {name: shut, key: k}}},` +
		`{name: b, issuer: "https://b.test", audiences: [b], keys: {secretRef: {name: shut, key: k}}, decryption: {secretRef: {name: other, key: k}}},` +
		`{name: c, issuer: "https://c.test", audiences: [b], introspection: {url: "https://c.test/i", credentialsSecretRef: {name: third}}}], rules: [{name: r, allow: {authenticated: true}}]}`
	warning := func(field, secret string) string {
		return field + ": the controller may not read Secret " + secret + " in namespace shop: its roles do not grant it (rbac.secrets of the chart)"
	}
	for name, tc := range map[string]struct {
		may  func(context.Context, string, string) (bool, error)
		want []string
	}{
		"some are closed to it": {
			func(_ context.Context, namespace, secret string) (bool, error) {
				return namespace == "shop" && secret == "open", nil
			},
			[]string{
				warning("spec.issuers[0].proof.nonceSecretRef", "shut"), warning("spec.issuers[1].decryption.secretRef", "other"),
				warning("spec.issuers[2].introspection.credentialsSecretRef", "third"),
			},
		},
		"all are open to it":                {func(context.Context, string, string) (bool, error) { return true, nil }, nil},
		"what is not known is not told of":  {func(context.Context, string, string) (bool, error) { return false, errors.New("no answer") }, nil},
		"an installation that does not ask": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := serveWith(t, func(c *webhook.Config) { c.MayRead = tc.may })
			resp := h.review(t, webhook.AuthPoliciesPath, policyRequest(t, spec))
			if !resp.Allowed {
				t.Fatal(resp.Result.Message)
			}
			if !slices.Equal(resp.Warnings, tc.want) {
				t.Errorf("warnings %q, want %q", resp.Warnings, tc.want)
			}
		})
	}
}

func TestASourceWhoseSecretIsClosed(t *testing.T) {
	t.Parallel()
	raw, err := yaml.YAMLToJSON([]byte(`{apiVersion: bearerguard.dev/v1alpha1, kind: RevocationSource, metadata: {name: corp, namespace: shop}, spec: {issuer: "https://a.test", audiences: [b], caSecretRef: {name: ca, key: k},` +
		` sharedSignals: {transmitter: "https://a.test", delivery: Poll, credentialsSecretRef: {name: signals}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	h := serveWith(t, func(c *webhook.Config) {
		c.MayRead = func(_ context.Context, _, secret string) (bool, error) { return secret == "ca", nil }
	})
	resp := h.review(t, webhook.RevocationSourcesPath, admissionv1.AdmissionRequest{
		Kind: kind(group, version, "RevocationSource"), Namespace: "shop", Name: "corp", Object: runtime.RawExtension{Raw: raw},
	})
	want := []string{"spec.sharedSignals.credentialsSecretRef: the controller may not read Secret signals in namespace shop: its roles do not grant it (rbac.secrets of the chart)"}
	if !resp.Allowed || !slices.Equal(resp.Warnings, want) {
		t.Errorf("allowed %v (%s), warnings %q, want %q", resp.Allowed, resp.Result.Message, resp.Warnings, want)
	}
}
