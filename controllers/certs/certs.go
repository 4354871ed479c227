package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/controllers/cell"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// Mode is where certificates come from.
type Mode string

// The modes.
const (
	// Self makes and rotates them itself. The default.
	Self Mode = "self"
	// CertManager takes those that cert-manager issues.
	CertManager Mode = "cert-manager"
)

// SecretName is the Secret, in the controller's namespace, with ca.crt, ca.key, tls.crt and tls.key.
const SecretName = "bearerguard-certs"

// WebhookConfiguration is the name of the MutatingWebhookConfiguration and of the ValidatingWebhookConfiguration of the default release.
const WebhookConfiguration = "bearerguard"

// Config is how to come by certificates.
type Config struct {
	// Mode is Self or CertManager. Default Self.
	Mode Mode
	// Dir has the files tls.crt, tls.key and ca.crt in mode CertManager. Default: the Secret IssuedSecretName is watched.
	Dir string
	// Namespace is the controller's; required.
	Namespace string
	// Cell names what is of the whole cluster, and says which namespaces the authority is published to. Default all, by the plain names.
	Cell cell.Cell
	// Tracer traces reconciliations. nil: none are traced.
	Tracer *tracing.Tracer
	// Name begins the names of the controllers that are added to the manager. Default "certs".
	Name string
	// Overlap is how long everybody has a new authority before it signs. Default 10m: kubelets bring a ConfigMap into pods
	// within two.
	Overlap time.Duration
	// Retire is how long the former authority is trusted after that. Default 1h.
	Retire time.Duration
	// Log defaults to the manager's.
	Log logr.Logger
}

// DNSNames returns the names that the certificate must hold: those of the Services of the webhook, the push service and the receiver of events.
func (c Config) DNSNames() []string {
	_, push := inject.PushService(c.Namespace, "")
	return []string{"bearerguard-webhook." + c.Namespace + ".svc", push, "bearerguard-events." + c.Namespace + ".svc"}
}

// Certs serves certificates. It is safe for concurrent use.
type Certs struct {
	store *store
	ready <-chan struct{}
	cause atomic.Value // string: why it is not ready, if that is known
	push  string       // the name of the push service
	*Publisher
}

// Setup adds to mgr all that certificates need; nothing is served before mgr has started.
func Setup(mgr manager.Manager, c Config) (*Certs, error) {
	if c.Namespace == "" {
		return nil, errors.New("certs: the controller's namespace is empty; want it set")
	}
	if c.Name == "" {
		c.Name = "certs"
	}
	if c.Log.GetSink() == nil {
		c.Log = mgr.GetLogger().WithName("certs")
	}
	objects, err := newCache(mgr, c)
	if err != nil {
		return nil, fmt.Errorf("cache for certificates: %w", err)
	}
	out := &Certs{store: newStore(), push: c.DNSNames()[1]}
	switch c.Mode {
	case Self, "":
		out.ready, err = setupSelf(mgr, c, out.store, objects)
	case CertManager:
		if c.Dir != "" {
			out.ready, err = setupFiles(mgr, c, out)
		} else {
			out.ready, err = setupIssued(mgr, c, out, objects)
		}
	default:
		err = fmt.Errorf("certs: mode %q is not known; want %s or %s", c.Mode, Self, CertManager)
	}
	if err != nil {
		return nil, err
	}
	out.Publisher, err = setupPublisher(mgr, c, out.store, objects)
	return out, err
}

// tell is told why what is wanted cannot be served; empty: it can.
func (c *Certs) tell(cause string) { c.cause.Store(cause) }

// newCache returns a cache, run by mgr on every replica, of the one Secret, the two webhook configurations and the ConfigMaps
// of one name.
func newCache(mgr manager.Manager, c Config) (cache.Cache, error) {
	byObject := map[client.Object]cache.ByObject{
		&corev1.ConfigMap{}: {Field: fields.OneTermEqualSelector("metadata.name", c.Cell.Name(inject.CAConfigMap))},
	}
	if c.Mode != CertManager || c.Dir == "" {
		name := SecretName
		if c.Mode == CertManager {
			name = IssuedSecretName
		}
		byObject[&corev1.Secret{}] = cache.ByObject{
			Namespaces: map[string]cache.Config{c.Namespace: {}},
			Field:      fields.OneTermEqualSelector("metadata.name", name),
		}
		own := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", c.Cell.Name(WebhookConfiguration))}
		byObject[&admissionv1.MutatingWebhookConfiguration{}], byObject[&admissionv1.ValidatingWebhookConfiguration{}] = own, own
	}
	objects, err := cache.New(mgr.GetConfig(), cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(), ByObject: byObject,
	})
	if err != nil {
		return nil, err
	}
	return objects, mgr.Add(everywhere{objects.Start})
}

// everywhere is a runnable of every replica, not just of the leader.
type everywhere struct {
	run func(context.Context) error
}

// Start runs until ctx is done.
func (e everywhere) Start(ctx context.Context) error { return e.run(ctx) }

// NeedLeaderElection returns false.
func (everywhere) NeedLeaderElection() bool { return false }

// TLS makes a server's configuration serve the current certificate, at TLS 1.3 (RFC 8446).
func (c *Certs) TLS(t *tls.Config) {
	t.MinVersion = tls.VersionTLS13
	t.GetCertificate = c.store.certificate
}

// Certificate returns what is served now.
func (c *Certs) Certificate() (*tls.Certificate, error) { return c.store.certificate(nil) }

// Replica returns an error unless chain is the certificate of a replica of this controller: one that sidecars would take for
// the push service. During a rotation replicas have different ones.
func (c *Certs) Replica(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(c.store.authority())
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, DNSName: c.push, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

// CA returns the authorities to be trusted, PEM, the one that signs first; nil before there is one.
func (c *Certs) CA() []byte { return c.store.authority() }

// Ready is closed once the certificate is served and, unless it comes from files, the webhook configurations trust it.
func (c *Certs) Ready() <-chan struct{} { return c.ready }

// Check is a readiness check: an error until Ready is closed.
func (c *Certs) Check(*http.Request) error {
	select {
	case <-c.ready:
		return nil
	default:
	}
	if cause, _ := c.cause.Load().(string); cause != "" {
		return fmt.Errorf("the serving certificate is not in place yet: %s", cause)
	}
	return errors.New("the serving certificate is not in place yet")
}
