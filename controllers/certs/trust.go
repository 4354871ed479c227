package certs

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

// trust makes the API server trust the authority, by the caBundle of the webhook configurations. Every replica adds what is
// missing; only the leader takes away, so that one that is behind cuts nobody off.
type trust struct {
	name    string // of the configurations
	store   *store
	objects client.Reader
	client  client.Client
	leads   func() bool
	log     logr.Logger
	wake    chan struct{}
	ready   chan struct{} // closed once the API server trusts what is served
}

// configuration is a webhook configuration with pointers to its bundles.
type configuration struct {
	client.Object
	bundles []*[]byte
}

// configurationKinds are the kinds of webhook configurations.
func configurationKinds() []client.Object {
	return []client.Object{&admissionv1.MutatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfiguration{}}
}

func (t *trust) run(ctx context.Context, objects cache.Cache) error {
	for _, kind := range configurationKinds() {
		if err := watch(ctx, objects, kind, t.wake); err != nil {
			return err
		}
	}
	objects.WaitForCacheSync(ctx)
	changed := t.store.subscribe()
	ready := false
	for {
		all, failed := t.bring(ctx)
		if all && !ready {
			ready = true
			close(t.ready)
		}
		var retry <-chan time.Time
		if failed {
			retry = time.After(again)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		case <-changed:
		case <-retry:
		}
	}
}

// bring writes the authority where it is missing. It reports whether it is everywhere, and whether it could not be written somewhere.
func (t *trust) bring(ctx context.Context) (all, failed bool) {
	ca := t.store.authority()
	if ca == nil {
		return false, false
	}
	all = true
	for _, c := range t.configurations(ctx) {
		if c.bundles == nil {
			all = false // it is not there yet
			continue
		}
		if err := t.put(ctx, c, ca); err != nil {
			all, failed = false, true
			if !apierrors.IsConflict(err) && ctx.Err() == nil {
				t.log.Error(err, "the API server is not told of the certificate authority")
			}
		}
	}
	return all, failed
}

// put brings the bundles of one configuration up to date.
func (t *trust) put(ctx context.Context, c configuration, ca []byte) error {
	changed := false
	for _, b := range c.bundles {
		if !holds(*b, ca) || (t.leads() && !bytes.Equal(*b, ca)) {
			*b, changed = ca, true
		}
	}
	if !changed {
		return nil
	}
	if err := t.client.Update(ctx, c.Object); err != nil {
		return fmt.Errorf("update webhook configuration %s: %w", c.GetName(), err)
	}
	return nil
}

// configurations returns both configurations; one that cannot be read has no bundles.
func (t *trust) configurations(ctx context.Context) []configuration {
	var m admissionv1.MutatingWebhookConfiguration
	var v admissionv1.ValidatingWebhookConfiguration
	out := []configuration{{Object: &m}, {Object: &v}}
	for _, c := range out {
		if err := t.objects.Get(ctx, client.ObjectKey{Name: t.name}, c.Object); err != nil {
			continue
		}
	}
	for i := range m.Webhooks {
		out[0].bundles = append(out[0].bundles, &m.Webhooks[i].ClientConfig.CABundle)
	}
	for i := range v.Webhooks {
		out[1].bundles = append(out[1].bundles, &v.Webhooks[i].ClientConfig.CABundle)
	}
	return out
}

// anybody reports whether a configuration trusts any authority.
func (t *trust) anybody(ctx context.Context) bool {
	for _, c := range t.configurations(ctx) {
		for _, b := range c.bundles {
			if len(certificates(*b)) > 0 {
				return true
			}
		}
	}
	return false
}

// has reports whether all configurations that are there trust a certificate.
func (t *trust) has(ctx context.Context, cert []byte) bool {
	for _, c := range t.configurations(ctx) {
		for _, b := range c.bundles {
			if !holds(*b, cert) {
				return false
			}
		}
	}
	return true
}

// published reports whether every ConfigMap for sidecars holds a certificate.
func published(ctx context.Context, objects client.Reader, cert []byte) bool {
	var list corev1.ConfigMapList
	if err := objects.List(ctx, &list); err != nil {
		return false
	}
	for i := range list.Items {
		if !holds([]byte(list.Items[i].Data[inject.CAKey]), cert) {
			return false
		}
	}
	return true
}
