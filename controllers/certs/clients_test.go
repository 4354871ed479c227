package certs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

const (
	webhookName = "bearerguard-webhook." + namespace + ".svc"
	pushName    = "bearerguard-push." + namespace + ".svc"
	// lag is how late a client sees what it trusts: as a kubelet is with a ConfigMap, and an API server with its watch.
	lag = 300 * time.Millisecond
)

// clients are an API server that calls the webhook and a sidecar that connects to the push service, 50 times a second each,
// at two replicas.
type clients struct {
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu     sync.Mutex
	calls  int
	failed []error
}

func (c *cluster) startClients(t *testing.T, replicas ...*replica) *clients {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	load := &clients{cancel: cancel}
	t.Cleanup(cancel)
	for name, trusted := range map[string]func(context.Context) ([]byte, error){webhookName: c.webhookTrusts, pushName: c.sidecarTrusts} {
		ca, err := trusted(ctx)
		if err != nil {
			t.Fatal(err)
		}
		load.group.Go(func() { load.run(ctx, name, ca, trusted, replicas) })
	}
	return load
}

// run calls with what was trusted a lag ago.
func (l *clients) run(ctx context.Context, name string, ca []byte, trusted func(context.Context) ([]byte, error), replicas []*replica) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	read := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i, r := range replicas {
			if err := handshake(ctx, r.certs, ca, name); ctx.Err() == nil {
				l.count(err, i, name)
			}
		}
		if time.Since(read) > lag {
			read = time.Now()
			if now, err := trusted(ctx); err == nil {
				ca = now
			}
		}
	}
}

func (l *clients) count(err error, replica int, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if err != nil {
		l.failed = append(l.failed, fmt.Errorf("replica %d, %s: %w", replica, name, err))
	}
}

// stop ends the load, once there has been enough of it, and wants nothing to have failed.
func (l *clients) stop(t *testing.T, during string) {
	t.Helper()
	eventually(t, "there were calls enough to tell", func(context.Context) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.calls < 100 {
			return fmt.Errorf("%d so far", l.calls)
		}
		return nil
	})
	l.cancel()
	l.group.Wait()
	t.Logf("during %s: %d calls, %d failed", during, l.calls, len(l.failed))
	if len(l.failed) > 0 {
		t.Errorf("during %s: %d of %d calls failed, such as: %v", during, len(l.failed), l.calls, errors.Join(l.failed[:min(3, len(l.failed))]...))
	}
}

// webhookTrusts is what the API server trusts.
func (c *cluster) webhookTrusts(ctx context.Context) ([]byte, error) {
	var m admissionv1.MutatingWebhookConfiguration
	err := c.admin.Get(ctx, client.ObjectKey{Name: certs.WebhookConfiguration}, &m)
	if err != nil {
		return nil, err
	}
	return m.Webhooks[0].ClientConfig.CABundle, nil
}

// sidecarTrusts is what a sidecar finds in its volume.
func (c *cluster) sidecarTrusts(ctx context.Context) ([]byte, error) {
	var cm corev1.ConfigMap
	err := c.admin.Get(ctx, client.ObjectKey{Namespace: "governed", Name: inject.CAConfigMap}, &cm)
	return []byte(cm.Data[inject.CAKey]), err
}

// annotate annotates the Secret.
func (c *cluster) annotate(t *testing.T, name, value string) {
	t.Helper()
	var s corev1.Secret
	s.Namespace, s.Name = namespace, certs.SecretName
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, name, value))
	if err := c.admin.Patch(t.Context(), &s, patch); err != nil {
		t.Fatal(err)
	}
}
