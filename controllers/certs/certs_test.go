package certs_test

import (
	"context"
	"errors"
	"fmt"
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

	c.createFile(t, "../../config/webhook/webhooks.yaml", strings.NewReplacer())

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
	eventually(t, "the authority is in the controller's own namespace", c.published(namespace, a))
	if err := c.published("idle", a)(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("a namespace with no use for it got the authority: %v", err)
	}
	if n := c.errors.Load(); n > 0 {
		t.Errorf("a first install logged %d errors, want none", n)
	}
	c.survivesDeletion(t, a)
	c.survivesRotation(t, a, b)
	c.survivesLossOfTheSecret(t, a, b)
	c.survivesRestart(t, a, b)
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

// survivesRotation asks for a new authority, under load, until nobody trusts the old one any more.
func (c *cluster) survivesRotation(t *testing.T, a, b *replica) {
	t.Helper()
	old := a.certs.CA()
	load := c.startClients(t, a, b)
	c.annotate(t, certs.AnnotationRotate, "now")
	eventually(t, "two authorities are trusted", func(context.Context) error {
		if n := strings.Count(string(a.certs.CA()), "BEGIN"); n != 2 || !strings.HasPrefix(string(a.certs.CA()), string(old)) {
			return fmt.Errorf("%d authorities", n)
		}
		return nil
	})
	eventually(t, "the old authority is trusted no more", func(context.Context) error {
		for _, r := range []*replica{a, b} {
			if ca := string(r.certs.CA()); strings.Count(ca, "BEGIN") != 1 || ca == string(old) {
				return errors.New("it still is")
			}
		}
		return nil
	})
	load.stop(t, "a rotation")
	for _, r := range []*replica{a, b} {
		eventually(t, "all serve by the new authority", c.serves(r))
	}
	for _, ns := range []string{"labelled", "governed", "injected"} {
		eventually(t, "the new authority is published to "+ns, c.published(ns, a))
	}
}

// survivesLossOfTheSecret deletes, garbles and replaces the Secret under load.
func (c *cluster) survivesLossOfTheSecret(t *testing.T, a, b *replica) {
	t.Helper()
	key := client.ObjectKey{Namespace: namespace, Name: certs.SecretName}
	get := func() *corev1.Secret {
		var s corev1.Secret
		if err := c.admin.Get(t.Context(), key, &s); err != nil {
			t.Fatal(err)
		}
		return &s
	}
	was, load := get(), c.startClients(t, a, b)
	same := func(ctx context.Context) error {
		var s corev1.Secret
		if err := c.admin.Get(ctx, key, &s); err != nil {
			return err
		}
		if diff := cmp.Diff(was.Data, s.Data); diff != "" {
			return errors.New("the secret is another")
		}
		return nil
	}
	if err := c.admin.Delete(t.Context(), get()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a deleted secret comes back as it was", same)
	garbled := get()
	garbled.Data = map[string][]byte{"tls.crt": []byte("garbage")}
	if err := c.admin.Update(t.Context(), garbled); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a garbled secret comes back as it was", same)

	other := certs.Foreign(t, namespace)
	foreign := get()
	foreign.Data = other
	if err := c.admin.Update(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another authority takes over in good order", func(context.Context) error {
		for _, r := range []*replica{a, b} {
			if string(r.certs.CA()) != string(other["ca.crt"]) {
				return errors.New("not yet")
			}
		}
		return nil
	})
	load.stop(t, "the loss of the secret")
}

// survivesRestart deletes the Secret while no replica runs. Nobody has the keys any more, so there is a new authority, and
// sidecars that want to connect wait until their kubelet has brought it; the API server is told at once.
func (c *cluster) survivesRestart(t *testing.T, a, b *replica) {
	t.Helper()
	old := a.certs.CA()
	a.stop()
	b.stop()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: certs.SecretName}}
	if err := c.admin.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r := c.startReplica(t, "c")
	eventually(t, "the new replica serves", c.serves(r))
	if string(r.certs.CA()) == string(old) {
		t.Error("an authority is back whose key is lost")
	}
	for _, ns := range []string{"labelled", "governed", "injected"} {
		eventually(t, "the new authority is published to "+ns, c.published(ns, r))
	}
	t.Logf("with the secret and all replicas gone, a new authority is everywhere after %v", time.Since(began).Round(time.Millisecond))
}
