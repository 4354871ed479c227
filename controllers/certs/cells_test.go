package certs_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/cell"
	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// startRelease starts a release's certificates, with every right.
func (c *cluster) startRelease(t *testing.T, system string, of cell.Cell) *certs.Certs {
	t.Helper()
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}})
	to, none := admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1")}, admissionv1.SideEffectClassNone
	for _, o := range []client.Object{
		&admissionv1.MutatingWebhookConfiguration{Webhooks: []admissionv1.MutatingWebhook{{Name: "a.test.dev", ClientConfig: to, SideEffects: &none, AdmissionReviewVersions: []string{"v1"}}}},
		&admissionv1.ValidatingWebhookConfiguration{Webhooks: []admissionv1.ValidatingWebhook{{Name: "a.test.dev", ClientConfig: to, SideEffects: &none, AdmissionReviewVersions: []string{"v1"}}}},
	} {
		o.SetName(of.Name(certs.WebhookConfiguration))
		c.create(t, o)
	}
	mgr, err := ctrl.NewManager(c.all, ctrl.Options{Scheme: c.scheme, Logger: logr.Discard(), Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := certs.Setup(mgr, certs.Config{Namespace: system, Name: system, Cell: of})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return out
}

// authorityIn returns what the ConfigMap of a release holds in a namespace.
func (c *cluster) authorityIn(ctx context.Context, namespace string, of cell.Cell) ([]byte, error) {
	var cm corev1.ConfigMap
	err := c.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: of.Name(inject.CAConfigMap)}, &cm)
	return []byte(cm.Data[inject.CAKey]), err
}

// Each release publishes its authority under its own name, so that pods of both can live in a namespace that changes hands.
func TestReleasesPublishToTheirOwnNamespaces(t *testing.T) {
	c := startCluster(t)
	of := map[string]cell.Cell{}
	for revision, selector := range map[string]string{"": "!" + v1alpha1.LabelRevision, "blue": v1alpha1.LabelRevision + "=blue"} {
		x, err := cell.New(revision, selector)
		if err != nil {
			t.Fatal(err)
		}
		of[revision] = x
	}
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "home", Labels: map[string]string{v1alpha1.LabelInject: "enabled"}}}
	away := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "away", Labels: map[string]string{v1alpha1.LabelInject: "enabled", v1alpha1.LabelRevision: "blue"}}}
	c.create(t, home)
	c.create(t, away)
	first, blue := c.startRelease(t, "system", of[""]), c.startRelease(t, "system-blue", of["blue"])
	has := func(namespace, revision string, r *certs.Certs) func(context.Context) error {
		return func(ctx context.Context) error {
			ca, err := c.authorityIn(ctx, namespace, of[revision])
			if err == nil && (len(ca) == 0 || !bytes.Equal(ca, r.CA())) {
				err = errors.New("another authority")
			}
			return err
		}
	}
	eventually(t, "the default release publishes to its namespace", has("home", "", first))
	eventually(t, "the other one to its own", has("away", "blue", blue))
	for _, r := range []*certs.Certs{first, blue} {
		select {
		case <-r.Ready():
		case <-time.After(30 * time.Second):
			t.Fatal("a release does not become ready")
		}
	}
	for revision, r := range map[string]*certs.Certs{"": first, "blue": blue} {
		var m admissionv1.MutatingWebhookConfiguration
		if err := c.admin.Get(t.Context(), client.ObjectKey{Name: of[revision].Name(certs.WebhookConfiguration)}, &m); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Webhooks[0].ClientConfig.CABundle, r.CA()) {
			t.Errorf("the webhooks of revision %q trust another authority than that of their release", revision)
		}
	}
	for namespace, revision := range map[string]string{"home": "blue", "away": ""} {
		if _, err := c.authorityIn(t.Context(), namespace, of[revision]); !apierrors.IsNotFound(err) {
			t.Errorf("revision %q published to %s: %v", revision, namespace, err)
		}
	}
	if err := c.admin.Patch(t.Context(), home, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"bearerguard.dev/revision":"blue"}}}`))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a namespace that moves gets the other authority", has("home", "blue", blue))
	gone := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: inject.CAConfigMap}}
	if err := c.admin.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the former one stays, for its pods, even when somebody deletes it", has("home", "", first))
}
