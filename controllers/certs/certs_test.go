package certs_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

func splitYAML(text string) []string { return strings.Split(text, "\n---\n") }

// Two replicas, with no more rights than the chart gives, from an empty namespace to a rotation.
func TestReplicasShareOneAuthority(t *testing.T) {
	c := startCluster(t)
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "labelled", Labels: map[string]string{v1alpha1.LabelInject: "enabled"}}})
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "governed"}})
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "injected"}})
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "idle"}})
	c.create(t, &v1alpha1.AuthPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "governed", Name: "p"},
		Spec: v1alpha1.AuthPolicySpec{Spec: policy.Spec{Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Anonymous: true}}}}}})

	c.createFile(t, "../../config/webhook/webhooks.yaml")

	a, b := c.startReplica(t, "a"), c.startReplica(t, "b")
	for _, r := range []*replica{a, b} {
		select {
		case <-r.certs.Ready():
		case <-time.After(30 * time.Second):
			t.Fatalf("not ready: %v", r.certs.Check(nil))
		}
	}
	eventually(t, "replica a serves", c.serves(a))
	eventually(t, "replica b serves", c.serves(b))
	if diff := cmp.Diff(a.certs.CA(), b.certs.CA()); diff != "" {
		t.Fatalf("the replicas differ in their authority:\n%s", diff)
	}

	eventually(t, "a labelled namespace gets the authority", c.published("labelled", a))
	eventually(t, "a namespace with a policy gets the authority", c.published("governed", a))
	// As the webhook of either replica does, with nobody having asked before.
	if err := b.certs.PublishCA(t.Context(), "injected"); err != nil {
		t.Fatal(err)
	}
	if err := c.published("injected", b)(t.Context()); err != nil {
		t.Errorf("published and not there: %v", err)
	}
	if err := c.published("idle", a)(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("a namespace with no use for it got the authority: %v", err)
	}
	c.survivesDeletion(t, a)
	c.survivesRotation(t, a, b)
}

// survivesDeletion deletes and garbles published authorities.
func (c *cluster) survivesDeletion(t *testing.T, r *replica) {
	t.Helper()
	for _, ns := range []string{"labelled", "injected"} {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: inject.CAConfigMap}}
		eventually(t, "deleted", func(ctx context.Context) error { return client.IgnoreNotFound(c.admin.Delete(ctx, cm)) })
		eventually(t, "a deleted authority comes back in "+ns, c.published(ns, r))
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "governed", Name: inject.CAConfigMap}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"ca.crt":"garbage"}}`))
	if err := c.admin.Patch(t.Context(), cm, patch); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a garbled authority is put right", c.published("governed", r))
}

// survivesRotation deletes the Secret, which brings a new authority everywhere.
func (c *cluster) survivesRotation(t *testing.T, replicas ...*replica) {
	t.Helper()
	old := string(replicas[0].certs.CA())
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: certs.SecretName}}
	if err := c.admin.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	for _, r := range replicas {
		eventually(t, "a new authority", func(context.Context) error {
			if string(r.certs.CA()) == old {
				return errors.New("still the old one")
			}
			return nil
		})
		eventually(t, "both replicas serve the new certificate", c.serves(r))
	}
	for _, ns := range []string{"labelled", "governed", "injected"} {
		eventually(t, "the new authority is published to "+ns, c.published(ns, replicas[0]))
	}
}
