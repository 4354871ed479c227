package certs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/hack/freeport"
)

// certManager runs processes of a real cert-manager against the cluster.
type certManager struct {
	binary, kubeconfig, dir string
}

// built returns a program of the test node's. Without it the test is skipped.
func built(t *testing.T, name string) string {
	t.Helper()
	cache := os.Getenv("CACHE")
	if cache == "" {
		home, _ := os.UserCacheDir()
		cache = filepath.Join(home, "bearerguard")
	}
	path := filepath.Join(cache, "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s: hack/cluster/build.sh %s builds it", path, name)
	}
	return path
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// newCertManager makes cert-manager's kinds known to the cluster.
func (c *cluster) newCertManager(t *testing.T) *certManager {
	t.Helper()
	m := &certManager{binary: built(t, "cert-manager"), dir: t.TempDir()}
	m.kubeconfig = filepath.Join(m.dir, "kubeconfig")
	if err := os.WriteFile(m.kubeconfig, c.kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	module := output(t, "go", "list", "-C", "../../hack/cluster/certmanager", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager")
	if _, err := envtest.InstallCRDs(c.all, envtest.CRDInstallOptions{Paths: []string{filepath.Join(module, "deploy", "crds")}, ErrorIfPathMissing: true}); err != nil {
		t.Fatal(err)
	}
	return m
}

// start runs one of its processes until the test ends.
func (m *certManager) start(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), m.binary, args...)
	cmd.Args[0] = "cert-manager-" + name
	cmd.Env = append(os.Environ(), "KUBECONFIG="+m.kubeconfig)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	log, err := os.Create(filepath.Join(m.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
}

// createChart creates what the chart has in some of its templates.
func (c *cluster) createChart(t *testing.T, templates []string, settings ...string) {
	t.Helper()
	args := []string{"template", "bearerguard", "../../charts/bearerguard", "-n", namespace}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	for _, name := range templates {
		args = append(args, "--show-only", "templates/"+name)
	}
	for _, doc := range splitYAML("\n" + output(t, built(t, "helm"), args...)) {
		var u unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		if len(u.Object) > 0 {
			c.create(t, &u)
		}
	}
}

// certificate returns the chart's Certificate.
func (c *cluster) certificate(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("cert-manager.io/v1")
	u.SetKind("Certificate")
	if err := c.admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "bearerguard"}, u); err != nil {
		t.Fatal(err)
	}
	return u
}

// change edits the chart's Certificate, whose status cert-manager writes too, and is tried again until it is taken.
func (c *cluster) change(t *testing.T, what string, write func(context.Context, *unstructured.Unstructured) error) {
	t.Helper()
	eventually(t, what, func(ctx context.Context) error { return write(ctx, c.certificate(t)) })
}

// renew asks for another certificate, as cmctl renew does, once the last one is done with.
func (c *cluster) renew(t *testing.T) {
	t.Helper()
	c.change(t, "a renewal is asked for", func(ctx context.Context, u *unstructured.Unstructured) error {
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, one := range conditions {
			if one.(map[string]any)["type"] == "Issuing" {
				return errors.New("the last one is not done with")
			}
		}
		conditions = append(conditions, map[string]any{
			"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "renewed by hand", "lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
		})
		return errors.Join(unstructured.SetNestedSlice(u.Object, conditions, "status", "conditions"), c.admin.Status().Update(ctx, u))
	})
}

// served is the serial number of what a replica serves, and who has signed it.
func served(r *replica) (serial, by string) {
	cert, err := r.certs.Certificate()
	if err != nil {
		return "", ""
	}
	return cert.Leaf.SerialNumber.String(), cert.Leaf.Issuer.CommonName
}

// other checks that a replica serves another certificate than before, that all trust.
func (c *cluster) other(r *replica, before string) func(context.Context) error {
	return func(ctx context.Context) error {
		if now, _ := served(r); now == before {
			return errors.New("the former certificate")
		}
		return errors.Join(c.serves(r)(ctx), c.published("governed", r)(ctx))
	}
}

// The chart's objects, with the rights that it gives, and a real cert-manager that comes piece by piece; then renewals, a Secret that is
// deleted, and another issuer.
func TestCertManager(t *testing.T) {
	c := startAPI(t)
	m := c.newCertManager(t)
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "governed", Labels: map[string]string{v1alpha1.LabelInject: "enabled"}}})
	c.createChart(t, []string{"rbac.yaml", "webhooks.yaml", "certificates.yaml"}, "certManager.enabled=true")
	r := c.startReplicaIn(t, certs.CertManager, "by-cert-manager")
	eventually(t, "before anything is issued", waitsFor(r, "secret bearerguard-issued is not there"))
	port, err := freeport.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.start(t, "controller", "--kubeconfig", m.kubeconfig, "--cluster-resource-namespace", namespace, "--internal-healthz-listen-address", fmt.Sprintf("127.0.0.1:%d", port))
	eventually(t, "before its injector runs", waitsFor(r, "do not trust the certificate yet: see whether cert-manager's cainjector runs"))
	m.start(t, "cainjector")
	eventually(t, "the replica is ready", func(context.Context) error { return r.certs.Check(nil) })
	eventually(t, "it serves", c.other(r, ""))

	load := c.startClients(t, r)
	first, by := served(r)
	if by != "bearerguard-ca" {
		t.Errorf("%q signs, want the chart's own authority", by)
	}
	second := first
	for range 3 {
		c.renew(t)
		eventually(t, "a renewed certificate is served", c.other(r, second))
		second, _ = served(r)
	}
	if err := c.admin.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: certs.IssuedSecretName}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "after the Secret was deleted another is served", c.other(r, second))
	load.stop(t, "renewal and the loss of the Secret")

	third, _ := served(r)
	c.create(t, object(t, `{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: root, namespace: bearerguard-system}, spec: {selfSigned: {}}}`))
	c.create(t, object(t, `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: corp, namespace: bearerguard-system}, spec: {isCA: true, commonName: corp, secretName: corp, issuerRef: {name: root}}}`))
	c.create(t, object(t, `{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: corp}, spec: {ca: {secretName: corp}}}`))
	c.change(t, "another issuer is named", func(ctx context.Context, u *unstructured.Unstructured) error {
		u.Object["spec"].(map[string]any)["issuerRef"] = map[string]any{"name": "corp", "kind": "ClusterIssuer"}
		return c.admin.Update(ctx, u)
	})
	eventually(t, "what another issuer gives is served and trusted", c.other(r, third))
	if _, by := served(r); by != "corp" {
		t.Errorf("%q signs, want corp", by)
	}
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}
