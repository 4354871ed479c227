package webhook_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/controllers/webhook"
	"github.com/bearerguard/bearerguard/hack/apiserver"
	"github.com/bearerguard/bearerguard/hack/freeport"
)

const system = "bearerguard-system"

// cluster is a real API server with the project's own CRDs, RBAC and webhook configurations.
type cluster struct {
	client.Client
	warnings *warnings
	config   *rest.Config // acts as the controller's service account
	admin    *rest.Config
	port     int
}

// startCluster starts an API server. Without its binaries the test is skipped, but fails where CI=true.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	assets := apiserver.Assets(t)
	env := &envtest.Environment{
		BinaryAssetsDirectory: assets, CRDDirectoryPaths: []string{"../../config/crd"}, ErrorIfCRDPathMissing: true,
	}
	// As in a real cluster, service accounts are looked at: their token is mounted into every container.
	env.ControlPlane.GetAPIServer().Configure().Disable("disable-admission-plugins")
	admin, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{warnings: &warnings{}, config: rest.CopyConfig(admin), port: freePort(t)}
	c.config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + system + ":bearerguard-controller",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + system, "system:authenticated"},
	}
	admin = rest.CopyConfig(admin)
	admin.WarningHandlerWithContext = c.warnings
	c.admin = admin
	if c.Client, err = client.New(admin, client.Options{Scheme: testScheme(t)}); err != nil {
		t.Fatal(err)
	}
	c.namespace(t, system, nil)
	c.createFile(t, "../../config/rbac/rbac.yaml")
	c.createFile(t, "../../config/webhook/webhooks.yaml")
	c.createFile(t, "../../config/webhook/admissionpolicies.yaml")
	return c
}

// warnings are what the API server told the last caller besides its answer.
type warnings struct{ last []string }

func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, code int, _ string, text string) {
	if code == 299 {
		w.last = append(w.last, text)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := freeport.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// namespace creates a namespace with the service account that a controller-manager would make.
func (c *cluster) namespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	if client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "default"}}
	if err := c.Create(t.Context(), account); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
}

// createFile creates every object of a manifest; webhooks are pointed to the test's port, rules about images to its image, and one account is exempt.
func (c *cluster) createFile(t *testing.T, file string) {
	t.Helper()
	text := strings.NewReplacer("ghcr.io/bearerguard/bearerguard:", "bearerguard.test/bearerguard:",
		"orValue('default') in []", "orValue('default') in ['enforced/exempt']").Replace(string(read(t, file)))
	for doc := range strings.SplitSeq(text, "\n---\n") {
		var u unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		hooks, _, _ := unstructured.NestedSlice(u.Object, "webhooks")
		for _, h := range hooks {
			if err := unstructured.SetNestedField(h.(map[string]any), int64(c.port), "clientConfig", "service", "port"); err != nil {
				t.Fatal(err)
			}
		}
		if hooks != nil {
			u.Object["webhooks"] = hooks
		}
		if len(u.Object) == 0 {
			continue
		}
		if err := c.Create(t.Context(), &u); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
}

// startController serves admission with certificates of its own, with no more rights than the chart gives.
func (c *cluster) startController(t *testing.T) {
	t.Helper()
	if err := c.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "bearerguard-webhook"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}); err != nil {
		t.Fatal(err)
	}
	var setup *certs.Certs
	hooks := ctrlwebhook.NewServer(ctrlwebhook.Options{Host: "127.0.0.1", Port: c.port, TLSOpts: []func(*tls.Config){
		func(config *tls.Config) { setup.TLS(config) },
	}})
	mgr, err := ctrl.NewManager(c.config, ctrl.Options{
		Scheme: testScheme(t), Logger: logr.Discard(), Metrics: server.Options{BindAddress: "0"}, WebhookServer: hooks,
	})
	if err != nil {
		t.Fatal(err)
	}
	if setup, err = certs.Setup(mgr, certs.Config{Namespace: system}); err != nil {
		t.Fatal(err)
	}
	err = webhook.Register(mgr.GetWebhookServer(), webhook.Config{
		Inject: injectConfig(), Namespaces: mgr.GetAPIReader(), PublishCA: setup.PublishCA, Scheme: mgr.GetScheme(),
		Metrics: prometheus.NewRegistry(),
	})
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
	select {
	case <-setup.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("no certificate within 30 s")
	}
	// The API server learns of the authority and of the Service through watches of its own.
	c.eventually(t, "the webhooks answer", func() error {
		return c.Create(t.Context(), podOf("system-check", nil, map[string]string{injectKey: "enabled"}), client.DryRunAll)
	})
}

func (c *cluster) eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: not within 30 s: %v", what, last)
	}
}

// authorityOf returns the webhook configuration's authority, to tell that nobody else has set it.
func (c *cluster) authorityOf(t *testing.T) string {
	t.Helper()
	var m admissionv1.MutatingWebhookConfiguration
	if err := c.Get(t.Context(), client.ObjectKey{Name: certs.WebhookConfiguration}, &m); err != nil {
		t.Fatal(err)
	}
	return string(m.Webhooks[0].ClientConfig.CABundle)
}
