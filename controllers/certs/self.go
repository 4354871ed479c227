package certs

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Entries of the Secret, as the rotator and cert-manager name them.
const (
	certEntry = corev1.TLSCertKey
	keyEntry  = corev1.TLSPrivateKeyKey
	caEntry   = "ca.crt"
)

// setupSelf adds the rotator and a watch of its Secret.
func setupSelf(ctx context.Context, mgr manager.Manager, c Config, s *store, objects cache.Cache) (<-chan struct{}, error) {
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("client for certificates: %w", err)
	}
	if err := prepareSecret(ctx, direct, c); err != nil {
		return nil, err
	}
	dir, err := markerDir(c.Dir)
	if err != nil {
		return nil, err
	}
	names := c.DNSNames()
	rotated := make(chan struct{})
	err = rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey: client.ObjectKey{Namespace: c.Namespace, Name: SecretName},
		CertDir:   dir, CAName: "bearerguard-ca", CAOrganization: "bearerguard", DNSName: names[0], ExtraDNSNames: names[1:],
		IsReady: rotated, FieldOwner: "bearerguard-certs", ControllerName: c.Name + "-rotator",
		Webhooks: []rotator.WebhookInfo{
			{Name: WebhookConfiguration, Type: rotator.Mutating}, {Name: WebhookConfiguration, Type: rotator.Validating},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("certificate rotator: %w", err)
	}
	w := &secretWatch{config: c, store: s, client: direct}
	ready := make(chan struct{})
	if err := mgr.Add(everywhere{func(ctx context.Context) error { return w.run(ctx, objects) }}); err != nil {
		return nil, err
	}
	return ready, mgr.Add(everywhere{func(ctx context.Context) error {
		for _, step := range []<-chan struct{}{s.loaded, rotated} {
			select {
			case <-step:
			case <-ctx.Done():
				return nil
			}
		}
		close(ready)
		return nil
	}})
}

// prepareSecret makes the Secret if it is missing, for the rotator to fill, and takes a certificate out of it that lacks
// one of the names, since the rotator looks at the first only.
func prepareSecret(ctx context.Context, direct client.Client, c Config) error {
	var secret corev1.Secret
	err := direct.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: SecretName}, &secret)
	if apierrors.IsNotFound(err) {
		return createSecret(ctx, direct, c.Namespace)
	}
	if err != nil {
		return fmt.Errorf("read secret %s/%s: %w", c.Namespace, SecretName, err)
	}
	if len(secret.Data[certEntry]) == 0 || covers(secret.Data[certEntry], c.DNSNames()) {
		return nil
	}
	delete(secret.Data, certEntry)
	if err := direct.Update(ctx, &secret); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("renew secret %s/%s: %w", c.Namespace, SecretName, err)
	}
	return nil
}

func createSecret(ctx context.Context, direct client.Client, namespace string) error {
	err := direct.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: SecretName, Labels: map[string]string{"app.kubernetes.io/managed-by": "bearerguard"},
	}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create secret %s/%s: %w", namespace, SecretName, err)
	}
	return nil
}

// covers reports whether a certificate holds every name.
func covers(certPEM []byte, names []string) bool {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return false
	}
	for _, name := range names {
		if cert.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

// markerDir returns a folder with a file tls.crt. The rotator waits for that file, thinking of a mounted Secret; what is
// served comes straight from the Secret, so the file has only to be there.
func markerDir(dir string) (string, error) {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "bearerguard-certs-"); err != nil {
			return "", fmt.Errorf("certificate folder: %w", err)
		}
	}
	text := []byte("The certificate is in the Secret " + SecretName + ".\n")
	if err := os.WriteFile(filepath.Join(dir, certEntry), text, 0o600); err != nil {
		return "", fmt.Errorf("certificate folder: %w", err)
	}
	return dir, nil
}

// secretWatch loads the Secret into the store whenever it changes, and makes it anew if somebody deletes it.
type secretWatch struct {
	config Config
	store  *store
	client client.Client
}

func (w *secretWatch) run(ctx context.Context, objects cache.Cache) error {
	informer, err := objects.GetInformer(ctx, &corev1.Secret{})
	if err != nil {
		return fmt.Errorf("watch secret %s: %w", SecretName, err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    w.load,
		UpdateFunc: func(_, obj any) { w.load(obj) },
		DeleteFunc: func(any) {
			w.config.Log.Info("the secret with the certificates is gone; making a new one", "secret", SecretName)
			if err := createSecret(ctx, w.client, w.config.Namespace); err != nil {
				w.config.Log.Error(err, "cannot make the secret with the certificates")
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch secret %s: %w", SecretName, err)
	}
	<-ctx.Done()
	return nil
}

func (w *secretWatch) load(obj any) {
	secret, ok := obj.(*corev1.Secret)
	if !ok || len(secret.Data[certEntry]) == 0 {
		return
	}
	if err := w.store.load(secret.Data[certEntry], secret.Data[keyEntry], secret.Data[caEntry]); err != nil {
		w.config.Log.Error(err, "the secret with the certificates is unusable; serving the last good certificate", "secret", SecretName)
	}
}
