package registration_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/controllers/cell"
	"github.com/bearerguard/bearerguard/controllers/registration"
	"github.com/bearerguard/bearerguard/hack/apiserver"
)

const (
	namespace = "bearerguard-system"
	manifest  = "../../config/webhook/webhooks.yaml"
)

var name = client.ObjectKey{Name: "bearerguard"}

func deployment() *appsv1.Deployment {
	labels := map[string]string{"a": "b"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: registration.Name},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}},
	}
}

func role() *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: registration.Name, UID: "of-the-role"}}
}

func TestWhenConfigurationsAreMadeAgain(t *testing.T) {
	t.Parallel()
	there := func() []client.Object {
		meta := metav1.ObjectMeta{Name: "bearerguard"}
		return []client.Object{&admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta}, &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta}}
	}
	leaving := deployment()
	leaving.DeletionTimestamp, leaving.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"foregroundDeletion"}
	leavingRole := role()
	leavingRole.DeletionTimestamp, leavingRole.Finalizers = leaving.DeletionTimestamp, leaving.Finalizers
	for what, tc := range map[string]struct {
		objects []client.Object // besides the configurations
		never   bool            // the configurations were not there from the start
		looks   int             // after they are gone
		want    bool
	}{
		"they are made again":                               {objects: []client.Object{deployment(), role()}, looks: 2, want: true},
		"not at once, since an uninstall takes its time":    {objects: []client.Object{deployment(), role()}, looks: 1},
		"not while the deployment is being deleted":         {objects: []client.Object{leaving, role()}, looks: 100},
		"not once it is gone":                               {objects: []client.Object{role()}, looks: 100},
		"not while their owner is being deleted":            {objects: []client.Object{deployment(), leavingRole}, looks: 100},
		"not without an owner, since nobody would end them": {objects: []client.Object{deployment()}, looks: 100},
		"nor under the hands of a first installation":       {objects: []client.Object{deployment(), role()}, never: true, looks: 19},
		"but those that a former process had are":           {objects: []client.Object{deployment(), role()}, never: true, looks: 20, want: true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(tc.objects...)
			if !tc.never {
				b = b.WithObjects(there()...)
			}
			api := b.Build()
			look := registration.NewLook(registration.Config{File: manifest, Namespace: namespace, CA: func() []byte { return []byte("authority") }}, api)
			for i := range tc.looks + 1 {
				if i == 1 && !tc.never {
					for _, o := range there() {
						if err := api.Delete(t.Context(), o); err != nil {
							t.Fatal(err)
						}
					}
				}
				if i == tc.looks && tc.never {
					break
				}
				if err := look(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			got := restored(t.Context(), api) == nil
			if got != tc.want {
				t.Errorf("made again %v, want %v: %v", got, tc.want, restored(t.Context(), api))
			}
		})
	}
}

// restored returns nil if both configurations are there as the manifest has them, trusted and owned.
func restored(ctx context.Context, api client.Client) error {
	var m admissionv1.MutatingWebhookConfiguration
	var v admissionv1.ValidatingWebhookConfiguration
	if err := errors.Join(api.Get(ctx, name, &m), api.Get(ctx, name, &v)); err != nil {
		return err
	}
	var hooks []string
	var bundles []string
	for _, w := range m.Webhooks {
		hooks, bundles = append(hooks, w.Name), append(bundles, string(w.ClientConfig.CABundle))
	}
	for _, w := range v.Webhooks {
		hooks, bundles = append(hooks, w.Name), append(bundles, string(w.ClientConfig.CABundle))
	}
	text, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	for _, h := range hooks {
		if !strings.Contains(string(text), "- name: "+h+"\n") {
			return errors.New("webhook " + h + " is not of the manifest")
		}
	}
	if n := strings.Count(string(text), "\n- name: "); n != len(hooks) {
		return errors.New(cmp.Diff(n, len(hooks)))
	}
	if slices.Contains(bundles, "") {
		return errors.New("a webhook has no authority")
	}
	for _, o := range []client.Object{&m, &v} {
		if refs := o.GetOwnerReferences(); len(refs) != 1 || refs[0].Kind != "ClusterRole" || refs[0].Name != registration.Name || refs[0].UID == "" {
			return errors.New("no owner: " + cmp.Diff(nil, refs))
		}
	}
	return nil
}

func TestManifestsThatAreWrongAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"kind: Pod": `kind "Pod"; want MutatingWebhookConfiguration or ValidatingWebhookConfiguration`,
		"kind: MutatingWebhookConfiguration\nwebhook: []": `unknown field "webhook"`,
		"- a": "cannot unmarshal",
	} {
		file := filepath.Join(t.TempDir(), "w.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := registration.Setup(nil, registration.Config{File: file, Namespace: namespace}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// A release with a revision looks for its own configurations, by the names of its manifest, and for its own role.
func TestARevisionKeepsItsOwnConfigurations(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "webhooks.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "  name: bearerguard\n", "  name: bearerguard-blue\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	of, err := cell.New("blue", "bearerguard.dev/revision=blue")
	if err != nil {
		t.Fatal(err)
	}
	others := role()
	own := role()
	own.Name = "bearerguard-controller-blue"
	for what, tc := range map[string]struct {
		role *rbacv1.ClusterRole
		want bool
	}{"with its role": {own, true}, "with another's": {others, false}} {
		api := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(deployment(), tc.role).Build()
		look := registration.NewLook(registration.Config{File: file, Namespace: namespace, Cell: of}, api)
		for range 20 {
			if err := look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var m admissionv1.MutatingWebhookConfiguration
		if got := api.Get(t.Context(), client.ObjectKey{Name: "bearerguard-blue"}, &m) == nil; got != tc.want {
			t.Errorf("%s: made again %v, want %v", what, got, tc.want)
		}
		if api.Get(t.Context(), name, &m) == nil {
			t.Errorf("%s: the configuration of the default release was made", what)
		}
	}
}

// On a real API server, with no more rights than the chart gives.
func TestDeletedConfigurationsComeBack(t *testing.T) {
	assets := apiserver.Assets(t)
	env := &envtest.Environment{BinaryAssetsDirectory: assets}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	admin, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, deployment()}
	for _, o := range append(objects, append(documents(t, "../../config/rbac/rbac.yaml"), documents(t, manifest)...)...) {
		if err := admin.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	authority, _, err := cert.GenerateSelfSignedCertKey("authority.test", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := rest.CopyConfig(config)
	own.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":" + registration.Name,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
	mgr, err := ctrl.NewManager(own, ctrl.Options{Logger: logr.Discard(), Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	err = registration.Setup(mgr, registration.Config{File: manifest, Namespace: namespace, Every: 50 * time.Millisecond, CA: func() []byte { return authority }})
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
	for _, o := range documents(t, manifest) {
		if err := admin.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	var last error
	err = wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = restored(ctx, admin)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("not within 30 s: %v", last)
	}
}

func documents(t *testing.T, file string) (out []client.Object) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		if len(u.Object) > 0 {
			out = append(out, u)
		}
	}
	return out
}
