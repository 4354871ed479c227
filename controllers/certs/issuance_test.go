package certs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/controllers/certs"
)

// trust writes an authority into the webhook configurations, as cert-manager's injector does.
func (c *cluster) trust(t *testing.T, ca []byte) {
	t.Helper()
	var m admissionv1.MutatingWebhookConfiguration
	var v admissionv1.ValidatingWebhookConfiguration
	key := client.ObjectKey{Name: certs.WebhookConfiguration}
	if err := errors.Join(c.admin.Get(t.Context(), key, &m), c.admin.Get(t.Context(), key, &v)); err != nil {
		t.Fatal(err)
	}
	for i := range m.Webhooks {
		m.Webhooks[i].ClientConfig.CABundle = ca
	}
	for i := range v.Webhooks {
		v.Webhooks[i].ClientConfig.CABundle = ca
	}
	if err := errors.Join(c.admin.Update(t.Context(), &m), c.admin.Update(t.Context(), &v)); err != nil {
		t.Fatal(err)
	}
}

// waitsFor checks that a replica is not ready, and says what for.
func waitsFor(r *replica, want string) func(context.Context) error {
	return func(context.Context) error {
		if err := r.certs.Check(nil); err == nil || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("it says %q", fmt.Sprint(err))
		}
		return nil
	}
}

// A replica that starts before cert-manager has done its part says what it waits for, step by step; then it follows the Secret.
func TestAReplicaWaitsForCertManager(t *testing.T) {
	c := startAPI(t)
	edits := strings.NewReplacer("bearerguard-certs", certs.IssuedSecretName)
	c.createFile(t, "../../config/rbac/rbac.yaml", edits)
	c.createFile(t, "../../config/webhook/webhooks.yaml", edits)
	r := c.startReplicaIn(t, certs.CertManager, "issued")
	eventually(t, "without a Secret", waitsFor(r, "secret bearerguard-issued is not there: see kubectl -n bearerguard-system describe certificate bearerguard"))

	first, second := certs.Foreign(t, namespace), certs.Foreign(t, namespace)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: certs.IssuedSecretName}, Type: corev1.SecretTypeTLS}
	write := func(data map[string][]byte) {
		t.Helper()
		secret.Data = data
		if err := c.admin.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	secret.Data = map[string][]byte{"tls.crt": nil, "tls.key": nil}
	c.create(t, secret)
	eventually(t, "with nothing issued", waitsFor(r, "tls.crt: is empty"))
	without := maps.Clone(first)
	delete(without, "ca.crt")
	write(without)
	eventually(t, "with an issuer that gives no authority", waitsFor(r, "ca.crt: is empty, since the issuer gives no authority; want certManager.issuerRef to name one that does"))
	write(certs.Foreign(t, "elsewhere"))
	eventually(t, "with other names", waitsFor(r, "tls.crt: is not for bearerguard-webhook.bearerguard-system.svc"))
	write(first)
	eventually(t, "before the injector has been there", waitsFor(r, "do not trust the certificate yet: see whether cert-manager's cainjector runs"))
	c.trust(t, second["ca.crt"])
	eventually(t, "with another authority injected", waitsFor(r, "do not trust the certificate yet"))
	c.trust(t, first["ca.crt"])
	eventually(t, "it is ready", func(context.Context) error { return r.certs.Check(nil) })
	eventually(t, "it serves", c.serves(r))
	eventually(t, "sidecars are told", c.published(namespace, r))

	write(map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("x"), "ca.crt": first["ca.crt"]})
	write(second)
	c.trust(t, second["ca.crt"])
	eventually(t, "another authority is taken over", func(ctx context.Context) error {
		if !bytes.Equal(r.certs.CA(), second["ca.crt"]) {
			return errors.New("the former one")
		}
		return errors.Join(c.serves(r)(ctx), c.published(namespace, r)(ctx), r.certs.Check(nil))
	})
	if err := c.admin.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.serves(r)(t.Context()), r.certs.Check(nil)); err != nil {
		t.Errorf("without the Secret that it had: %v", err)
	}
}
