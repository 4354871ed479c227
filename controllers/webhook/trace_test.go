package webhook_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/api/tracing/tracingtest"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/controllers/webhook"
)

// An admission request is a span: what it was about, the verdict, and the steps that it took. What is in the object is in none.
func TestTheTraceOfAnAdmissionRequest(t *testing.T) {
	t.Parallel()
	sink := &tracingtest.Spans{}
	h := serveWith(t, func(c *webhook.Config) {
		c.Tracer = tracing.NewTracer(sink, tracing.Options{Ratio: 1, PerSecond: 1000})
	}, inject.Namespace{Name: "shop"})
	raw := func(o any) runtime.RawExtension {
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return runtime.RawExtension{Raw: b}
	}
	gvk := func(kind string) metav1.GroupVersionKind { return metav1.GroupVersionKind{Version: "v1", Kind: kind} }
	common := map[string]string{"bearerguard.admission.uid": "7d1c5c1e-uid", "bearerguard.admission.operation": "CREATE", "k8s.namespace.name": "shop"}
	for _, tt := range []struct {
		what, path string
		req        admissionv1.AdmissionRequest
		want       map[string]string
		steps      []string
	}{
		{
			"a pod", webhook.PodsPath,
			admissionv1.AdmissionRequest{Namespace: "shop", Kind: gvk("Pod"), Object: raw(podOf("shop", nil, asked))},
			map[string]string{"bearerguard.webhook": "mutate-pods", "bearerguard.object.kind": "Pod", "bearerguard.result": "changed", "bearerguard.reason": "Injected"},
			[]string{"read namespace", "inject", "publish certificate authority"},
		},
		{
			"a pod that does not say what it means", webhook.PodsPath,
			admissionv1.AdmissionRequest{Namespace: "shop", Kind: gvk("Pod"), DryRun: new(true), Object: raw(podOf("shop", nil, map[string]string{injectKey: "canary"}))},
			map[string]string{"bearerguard.webhook": "mutate-pods", "bearerguard.object.kind": "Pod", "bearerguard.result": "refused", "bearerguard.admission.dry_run": "true"},
			[]string{"read namespace", "inject"},
		},
		{
			"a policy with a rule that says nothing", webhook.AuthPoliciesPath,
			admissionv1.AdmissionRequest{Namespace: "shop", Name: "orders", Kind: gvk("AuthPolicy"), Object: raw(&v1alpha1.AuthPolicy{ObjectMeta: metav1.ObjectMeta{Name: "orders", Namespace: "shop", Annotations: map[string]string{"note": "canary"}}, Spec: v1alpha1.AuthPolicySpec{Spec: policy.Spec{Rules: []policy.Rule{{Name: "canary"}}}}})},
			map[string]string{"bearerguard.webhook": "validate-authpolicies", "bearerguard.object.kind": "AuthPolicy", "bearerguard.object.name": "orders", "bearerguard.result": "refused"},
			[]string{"wait for a turn", "check policy"},
		},
	} {
		before, _ := sink.All()
		h.review(t, tt.path, tt.req)
		all, err := sink.All()
		if err != nil {
			t.Fatal(err)
		}
		all = all[len(before):]
		own := all[len(all)-1]
		want := map[string]string{}
		for _, m := range []map[string]string{common, tt.want} {
			for k, v := range m {
				want[k] = v
			}
		}
		if diff := cmp.Diff(want, own.Attrs); diff != "" || own.Name != "admission "+tt.path[1:] || own.Failed || own.Kind != 2 {
			t.Errorf("%s: %+v %s", tt.what, own, diff)
		}
		var steps []string
		for _, s := range all[:len(all)-1] {
			steps = append(steps, s.Name)
			if s.Parent != own.ID || s.Trace != own.Trace {
				t.Errorf("%s: %+v is not below the request", tt.what, s)
			}
		}
		if diff := cmp.Diff(tt.steps, steps); diff != "" {
			t.Errorf("%s: steps %s", tt.what, diff)
		}
	}
}
