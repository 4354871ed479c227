package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/go-logr/logr/testr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/hack/apiserver"
)

const namespace = "bearerguard-system"

// cluster is a real API server with the project's own RBAC and webhook configurations.
type cluster struct {
	admin  client.Client
	config *rest.Config // acts as the controller's service account
	all    *rest.Config // may do everything
	scheme *runtime.Scheme

	kubeconfig []byte       // of who may do everything
	errors     atomic.Int32 // how many lines tell of one
}

// startCluster starts an API server. Without its binaries the test is skipped, but fails where CI=true.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := startAPI(t)
	c.createFile(t, "../../config/rbac/rbac.yaml", strings.NewReplacer())
	return c
}

// startAPI starts one where the controller's service account may do nothing yet.
func startAPI(t *testing.T) *cluster {
	t.Helper()
	assets := apiserver.Assets(t)
	env := &envtest.Environment{
		BinaryAssetsDirectory: assets, CRDDirectoryPaths: []string{"../../config/crd"}, ErrorIfCRDPathMissing: true,
	}
	admin, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{scheme: runtime.NewScheme(), config: rest.CopyConfig(admin), all: admin, kubeconfig: env.KubeConfig}
	c.config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":bearerguard-controller",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
	if err := errors.Join(clientgoscheme.AddToScheme(c.scheme), v1alpha1.AddToScheme(c.scheme)); err != nil {
		t.Fatal(err)
	}
	if c.admin, err = client.New(admin, client.Options{Scheme: c.scheme}); err != nil {
		t.Fatal(err)
	}
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	return c
}

func (c *cluster) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := c.admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// createFile creates every object of a manifest, after edits.
func (c *cluster) createFile(t *testing.T, file string, edits *strings.Replacer) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range splitYAML(edits.Replace(string(text))) {
		var u unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(u.Object) > 0 {
			c.create(t, &u)
		}
	}
}

// replica is one controller process.
type replica struct {
	certs *certs.Certs
	stop  func()
}

// logger logs into the test. Errors are counted, since a first install is to log none; client-go calls it one that of two replicas which
// begin at the same moment one makes the lease.
func (c *cluster) logger(t *testing.T) logr.Logger {
	into := testr.New(t)
	return funcr.New(func(_, line string) {
		if strings.Contains(line, `"error"=`) && !strings.Contains(line, "initially creating lease lock") {
			c.errors.Add(1)
		}
		into.Info(line)
	}, funcr.Options{})
}

func (c *cluster) startReplica(t *testing.T, name string) *replica {
	t.Helper()
	return c.startReplicaIn(t, certs.Self, name)
}

func (c *cluster) startReplicaIn(t *testing.T, mode certs.Mode, name string) *replica {
	t.Helper()
	mgr, err := ctrl.NewManager(c.config, ctrl.Options{
		Scheme: c.scheme, Logger: c.logger(t), Metrics: server.Options{BindAddress: "0"},
		LeaderElection: true, LeaderElectionID: "certs-test", LeaderElectionNamespace: namespace, LeaderElectionReleaseOnCancel: true,
		Controller: config.Controller{SkipNameValidation: new(true)}, // a test may run more than once
	})
	if err != nil {
		t.Fatal(err)
	}
	setup, err := certs.Setup(mgr, certs.Config{
		Mode: mode, Namespace: namespace, Name: name, Overlap: time.Second, Retire: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	r := &replica{certs: setup, stop: func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("replica %s: %v", name, err)
		}
		done <- nil
	}}
	t.Cleanup(r.stop)
	return r
}

// eventually waits for check to return nil.
func eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: not within 30 s: %v", what, last)
	}
}

// serves checks that a replica serves a certificate, for both names, that the webhook configurations trust.
func (c *cluster) serves(r *replica) func(context.Context) error {
	return func(ctx context.Context) error {
		var m admissionv1.MutatingWebhookConfiguration
		var v admissionv1.ValidatingWebhookConfiguration
		key := client.ObjectKey{Name: certs.WebhookConfiguration}
		if err := errors.Join(c.admin.Get(ctx, key, &m), c.admin.Get(ctx, key, &v)); err != nil {
			return err
		}
		for _, bundle := range [][]byte{m.Webhooks[0].ClientConfig.CABundle, m.Webhooks[1].ClientConfig.CABundle,
			m.Webhooks[2].ClientConfig.CABundle, v.Webhooks[0].ClientConfig.CABundle, v.Webhooks[1].ClientConfig.CABundle, r.certs.CA()} {
			for _, name := range []string{webhookName, pushName} {
				if err := handshake(ctx, r.certs, bundle, name); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// handshake dials a server with the replica's certificate.
func handshake(ctx context.Context, c *certs.Certs, ca []byte, name string) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return errors.New("no authority")
	}
	var serverConfig tls.Config
	c.TLS(&serverConfig)
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	failed := make(chan error, 1)
	go func() { failed <- tls.Server(far, &serverConfig).HandshakeContext(ctx) }()
	if err := tls.Client(near, &tls.Config{RootCAs: roots, ServerName: name}).HandshakeContext(ctx); err != nil {
		return fmt.Errorf("handshake for %s: %w", name, err)
	}
	return <-failed
}

// published checks that a namespace has the authority of a replica.
func (c *cluster) published(ns string, r *replica) func(context.Context) error {
	return func(ctx context.Context) error {
		var cm corev1.ConfigMap
		if err := c.admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: inject.CAConfigMap}, &cm); err != nil {
			return err
		}
		if cm.Data[inject.CAKey] != string(r.certs.CA()) {
			return errors.New("another authority")
		}
		return nil
	}
}
