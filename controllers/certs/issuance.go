package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// IssuedSecretName is the Secret, in the controller's namespace, that cert-manager writes. It is not SecretName, so that a release can go from one mode
// to the other and back: neither writes what the other one serves.
const IssuedSecretName = "bearerguard-issued"

// issuance serves what cert-manager writes into the Secret. It writes nothing itself.
type issuance struct {
	config  Config
	store   *store
	objects client.Reader
	trust   *trust // of which it only reads
	wake    chan struct{}
	ready   chan struct{}
	tell    func(cause string)
}

// setupIssued adds a watch of cert-manager's Secret, and of the webhook configurations, into which its injector writes.
func setupIssued(mgr manager.Manager, c Config, out *Certs, objects cache.Cache) (<-chan struct{}, error) {
	i := &issuance{
		config: c, store: out.store, objects: objects, wake: make(chan struct{}, 1), ready: make(chan struct{}), tell: out.tell,
		trust: &trust{name: c.Cell.Name(WebhookConfiguration), objects: objects},
	}
	return i.ready, mgr.Add(everywhere{func(ctx context.Context) error { return i.run(ctx, objects) }})
}

func (i *issuance) run(ctx context.Context, objects cache.Cache) error {
	for _, kind := range append(configurationKinds(), &corev1.Secret{}) {
		if err := watch(ctx, objects, kind, i.wake); err != nil {
			return err
		}
	}
	objects.WaitForCacheSync(ctx)
	ready, last := false, ""
	for {
		cause := ""
		if err := i.turn(ctx, ready); err != nil {
			cause = err.Error()
		}
		if cause == "" && !ready {
			ready = true
			close(i.ready)
		}
		if cause != last && cause != "" && ctx.Err() == nil {
			i.config.Log.Info(map[bool]string{false: "waiting for cert-manager", true: "cert-manager's certificate is unusable; the last good one stays"}[ready], "cause", cause)
		}
		i.tell(cause)
		last = cause
		select {
		case <-ctx.Done():
			return nil
		case <-i.wake:
		}
	}
}

// turn takes in what the Secret holds. The error says what is missing for it to be served, and, until ready, to be trusted by the API server.
func (i *issuance) turn(ctx context.Context, ready bool) error {
	var secret corev1.Secret
	err := i.objects.Get(ctx, client.ObjectKey{Namespace: i.config.Namespace, Name: IssuedSecretName}, &secret)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("secret %s is not there: see kubectl -n %s describe certificate bearerguard", IssuedSecretName, i.config.Namespace)
	}
	if err != nil {
		return fmt.Errorf("read secret %s: %w", IssuedSecretName, err)
	}
	if err := i.load(&secret); err != nil {
		return fmt.Errorf("secret %s: %w", IssuedSecretName, err)
	}
	if ready {
		return nil
	}
	return i.trusted(ctx)
}

// load serves what a Secret holds, if it is whole and for all names.
func (i *issuance) load(secret *corev1.Secret) error {
	d := secret.Data
	if len(d[certEntry]) == 0 {
		return errors.New("tls.crt: is empty; cert-manager has issued nothing yet")
	}
	if len(d[caEntry]) == 0 {
		return errors.New("ca.crt: is empty, since the issuer gives no authority; want certManager.issuerRef to name one that does, such as a CA or Vault issuer")
	}
	cert, err := check(d[certEntry], d[keyEntry], d[caEntry])
	if err != nil {
		return err
	}
	for _, name := range i.config.DNSNames() {
		if err := cert.Leaf.VerifyHostname(name); err != nil {
			return fmt.Errorf("tls.crt: is not for %s; want an issuer that takes the names of the Certificate as they are", name)
		}
	}
	return i.store.load(d[certEntry], d[keyEntry], d[caEntry])
}

// trusted returns an error unless both webhook configurations trust what is served.
func (i *issuance) trusted(ctx context.Context) error {
	leaf, err := i.store.certificate(nil)
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, der := range leaf.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	for _, c := range i.trust.configurations(ctx) {
		if len(c.bundles) == 0 {
			return fmt.Errorf("the webhook configurations %s are not both there", i.trust.name)
		}
		for _, b := range c.bundles {
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(*b)
			if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: leaf.Leaf.NotBefore}); err != nil {
				return fmt.Errorf("the webhook configurations %s do not trust the certificate yet: see whether cert-manager's cainjector runs", i.trust.name)
			}
		}
	}
	return nil
}
