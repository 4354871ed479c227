package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/controllers/webhook"
)

// hooks is the whole set of webhooks behind a real HTTP server.
type hooks struct {
	url     string
	metrics *prometheus.Registry

	mu        sync.Mutex
	published []string // namespaces, guarded by mu
}

func testScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func injectConfig() inject.Config {
	address, name := inject.PushService("bearerguard-system", "")
	return inject.Config{
		Image: "bearerguard.test/bearerguard:v1", Version: "v1", PushAddress: address, PushServerName: name,
		CPU: resource.MustParse("20m"), Memory: resource.MustParse("32Mi"), MemoryLimit: resource.MustParse("128Mi"),
		RunAsUser: new(int64(65532)), RunAsGroup: new(int64(65532)),
		ExcludedNamespaces: []string{"kube-system", "bearerguard-system"},
	}
}

// serve starts the webhooks in a cluster with these namespaces.
func serve(t *testing.T, namespaces ...inject.Namespace) *hooks {
	t.Helper()
	return serveWith(t, func(*webhook.Config) {}, namespaces...)
}

func serveWith(t *testing.T, change func(*webhook.Config), namespaces ...inject.Namespace) *hooks {
	t.Helper()
	s := testScheme(t)
	var objects []client.Object
	for _, ns := range namespaces {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns.Name, Labels: ns.Labels, Annotations: ns.Annotations}})
	}
	h := &hooks{metrics: prometheus.NewRegistry()}
	cfg := webhook.Config{
		Inject: injectConfig(), Scheme: s, Metrics: h.metrics,
		Namespaces: fake.NewClientBuilder().WithScheme(s).WithObjects(objects...).Build(),
		PublishCA: func(_ context.Context, ns string) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.published = append(h.published, ns)
			return nil
		},
	}
	change(&cfg)
	mux := muxServer{http.NewServeMux()}
	if err := webhook.Register(mux, cfg); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

type muxServer struct{ *http.ServeMux }

func (m muxServer) Register(path string, hook http.Handler) { m.Handle(path, hook) }

func (h *hooks) publishedTo() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.published
}

// review sends an AdmissionReview as an API server does.
func (h *hooks) review(t *testing.T, path string, req admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	t.Helper()
	req.UID = "7d1c5c1e-uid"
	if req.Operation == "" {
		req.Operation = admissionv1.Create
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: &req,
	})
	if err != nil {
		t.Fatal(err)
	}
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(post)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(resp.Body).Decode(&review); err != nil {
		t.Fatal(err)
	}
	if review.Response == nil || review.Response.UID != req.UID {
		t.Fatalf("answer without the request's uid: %+v", review.Response)
	}
	return review.Response
}

// apply applies the patch of an answer.
func apply(t *testing.T, raw []byte, resp *admissionv1.AdmissionResponse) []byte {
	t.Helper()
	if len(resp.Patch) == 0 {
		return raw
	}
	patch, err := jsonpatch.DecodePatch(resp.Patch)
	if err != nil {
		t.Fatal(err)
	}
	out, err := patch.Apply(raw)
	if err != nil {
		t.Fatalf("apply %s: %v", resp.Patch, err)
	}
	return out
}

func toJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func kind(group, version, name string) metav1.GroupVersionKind {
	return metav1.GroupVersionKind{Group: group, Version: version, Kind: name}
}
