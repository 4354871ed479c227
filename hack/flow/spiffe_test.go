package flow_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
)

// TestSVIDsByABundleInAConfigMap is keys.spiffe the whole way: from the ConfigMap that SPIRE keeps to the answer, and new keys in it.
func TestSVIDsByABundleInAConfigMap(t *testing.T) {
	ns := newNamespace(t)
	old, next := newKey(t), newKey(t)
	bundle := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "spire-bundle"}, Data: map[string]string{"bundle.spiffe": old.bundle(t, 1)}}
	create(t, bundle)
	p := newPolicy(t, ns, old)
	p.Spec.Issuers = []policy.Issuer{{Name: "mesh", Audiences: []string{"orders"}, Keys: policy.KeySource{SPIFFE: &policy.SPIFFE{
		TrustDomain: "example.org", ConfigMapRef: &policy.KeyRef{Name: "spire-bundle", Key: "bundle.spiffe"},
	}}}}
	p.Spec.Rules[1].Allow = &policy.Allow{Conditions: policy.Conditions{SPIFFEIDs: []string{"spiffe://example.org/ns/*/sa/cart"}}}
	create(t, p)

	app, port := newApp(t), freePort()
	pod := newPod(ns, fmt.Sprintf("%d:%d", port, portOf(app.URL)))
	create(t, pod)
	startSidecar(t, pod, containerNamed(t, pod.Spec.InitContainers, "bearerguard"), t.TempDir())
	ask := func(k signingKey, id string) func() string {
		token := k.svid(t, id)
		return func() string { return get(t, fmt.Sprintf("http://127.0.0.1:%d/orders", port), token) }
	}
	const cart = "spiffe://example.org/ns/shop/sa/cart"
	eventually(t, "a workload of the rule", ask(old, cart), "200 GET /orders user="+cart)
	expect(t, "another workload", ask(old, "spiffe://example.org/ns/shop/sa/pay")(), "403")
	expect(t, "another trust domain", ask(old, "spiffe://example.com/ns/shop/sa/cart")(), "401")
	expect(t, "a key that the bundle lacks", ask(next, cart)(), "401")
	eventually(t, "the status says so", func() string { return conditions(t, p) }, "ResolvedRefs=True")

	if err := world.client.Get(t.Context(), client.ObjectKeyFromObject(bundle), bundle); err != nil {
		t.Fatal(err)
	}
	bundle.Data["bundle.spiffe"] = next.bundle(t, 2)
	if err := world.client.Update(t.Context(), bundle); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next key, once it is in the bundle", ask(next, cart), "200")
	eventually(t, "the former key, once it is not", ask(old, cart), "401")
}

// bundle is a SPIFFE bundle with the key for JWT-SVIDs, and for X.509-SVIDs one that is of no use here.
func (k signingKey) bundle(t *testing.T, sequence int) string {
	t.Helper()
	var keys []map[string]any
	for _, use := range []string{"jwt-svid", "x509-svid"} {
		key, err := k.public.AsMap(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		key["use"] = use
		keys = append(keys, key)
	}
	out, err := json.Marshal(map[string]any{"keys": keys, "spiffe_sequence": sequence, "spiffe_refresh_hint": 60})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// svid mints a JWT-SVID, which needs no iss.
func (k signingKey) svid(t *testing.T, id string) string {
	t.Helper()
	token, err := jwt.NewBuilder().Audience([]string{"orders"}).Subject(id).Expiration(time.Now().Add(time.Hour)).Build()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.RS256, k.private))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}
