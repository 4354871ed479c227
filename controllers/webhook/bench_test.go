package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/webhook"
)

// policiesHandler is the webhook of policies alone, with its HTTP.
func policiesHandler(t testing.TB) http.Handler {
	t.Helper()
	s := testScheme(t)
	mux := muxServer{http.NewServeMux()}
	err := webhook.Register(mux, webhook.Config{
		Inject: injectConfig(), Scheme: s, Metrics: prometheus.NewRegistry(), Namespaces: fake.NewClientBuilder().WithScheme(s).Build(),
		PublishCA: func(context.Context, string) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return mux
}

// largePolicy has as many rules as there may be; when makes the expression of each.
func largePolicy(when func(i int) string) *v1alpha1.AuthPolicy {
	p := &v1alpha1.AuthPolicy{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AuthPolicy"}}
	p.Namespace, p.Name = "shop", "orders"
	p.Spec.Issuers = []policy.Issuer{{Name: "corp", Issuer: "https://a.test", Audiences: []string{"b"}, Keys: policy.KeySource{Discovery: &policy.Discovery{}}}}
	for i := range 256 {
		r := policy.Rule{
			Name:  fmt.Sprintf("rule-%d", i),
			Match: []policy.Match{{Paths: []string{fmt.Sprintf("/part-%d/{id}/**", i)}, Methods: []string{"GET", "POST"}}},
			Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{fmt.Sprintf("part-%d.read", i)}}},
		}
		r.Allow.When = when(i)
		p.Spec.Rules = append(p.Spec.Rules, r)
	}
	return p
}

func reviewOf(t testing.TB, op admissionv1.Operation, object, old *v1alpha1.AuthPolicy) []byte {
	t.Helper()
	req := &admissionv1.AdmissionRequest{
		UID: "u", Kind: kind(group, version, "AuthPolicy"), Namespace: object.Namespace, Name: object.Name, Operation: op,
	}
	for to, p := range map[*runtime.RawExtension]*v1alpha1.AuthPolicy{&req.Object: object, &req.OldObject: old} {
		if p == nil {
			continue
		}
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		to.Raw = raw
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: req,
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// BenchmarkPolicyOf256Rules is the whole handler, from the request's body to the answer's.
func BenchmarkPolicyOf256Rules(b *testing.B) {
	log.SetLogger(logr.Discard())
	own := func(turn, i int) string {
		return fmt.Sprintf(`claims.tenant == path.id && (claims.level > %d || request.headers["x-part"].startsWith("p%d"))`, i, turn)
	}
	for _, c := range []struct {
		name string
		when func(turn, i int) string
	}{
		{"paths and scopes", func(int, int) string { return "" }},
		{"CEL, the same each time", func(_, i int) string { return own(0, i) }},
		{"CEL, one rule new each time", func(turn, i int) string {
			if i == 7 {
				return own(turn, i)
			}
			return own(0, i)
		}},
		{"CEL, every rule new each time", own},
	} {
		for _, op := range []admissionv1.Operation{admissionv1.Create, admissionv1.Update} {
			b.Run(c.name+"/"+string(op), func(b *testing.B) {
				h := policiesHandler(b)
				b.ReportAllocs()
				for turn := 0; b.Loop(); turn++ {
					b.StopTimer()
					when := func(i int) string { return c.when(turn, i) }
					var old *v1alpha1.AuthPolicy
					if op == admissionv1.Update {
						old = largePolicy(when)
						old.Spec.Rules[3].Match[0].Paths[0] = "/old"
					}
					body := reviewOf(b, op, largePolicy(when), old)
					b.StartTimer()
					if w := post(h, webhook.AuthPoliciesPath, body); !bytes.Contains(w.Body.Bytes(), []byte(`"allowed":true`)) {
						b.Fatal(w.Body)
					}
				}
			})
		}
	}
}

func post(h http.Handler, path string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
