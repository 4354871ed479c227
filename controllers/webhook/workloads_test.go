package webhook_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/controllers/webhook"
)

const template = `{"metadata":{"labels":{"app":"orders"}},"spec":{"containers":[{"name":"app","image":"example.test/orders:1"}]}}`

func workload(apiVersion, kind, annotations, template string) string {
	spec := `{"template":` + template + `}`
	if kind == "CronJob" {
		spec = `{"jobTemplate":{"spec":` + spec + `}}`
	}
	return `{"apiVersion":"` + apiVersion + `","kind":"` + kind + `","metadata":{"name":"orders","annotations":` + annotations +
		`},"spec":` + strings.Replace(spec, "{", `{"fromTheFuture":1,`, 1) + `}`
}

func TestWorkloadAnnotationsReachTheTemplate(t *testing.T) {
	t.Parallel()
	const asked = `{"bearerguard.dev/inject":"enabled"}`
	const copied = `{"bearerguard.dev/copied":"{\"inject\":\"enabled\"}","bearerguard.dev/inject":"enabled"}`
	h := serve(t, inject.Namespace{Name: "shop"})
	for apiVersion, kinds := range map[string][]string{
		"apps/v1": {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}, "batch/v1": {"Job", "CronJob"},
	} {
		for _, k := range kinds {
			for name, templates := range map[string][2]string{
				"a template with metadata":    {template, strings.Replace(template, `"metadata":{`, `"metadata":{"annotations":`+asked+`,`, 1)},
				"a template without metadata": {`{"spec":{}}`, `{"metadata":{"annotations":` + asked + `},"spec":{}}`},
			} {
				t.Run(k+" with "+name, func(t *testing.T) {
					t.Parallel()
					raw := []byte(workload(apiVersion, k, asked, templates[0]))
					resp := h.review(t, webhook.WorkloadsPath, workloadRequest(apiVersion, k, raw))
					if !resp.Allowed {
						t.Fatal(resp.Result.Message)
					}
					var got, want any
					unmarshal(t, apply(t, raw, resp), &got)
					unmarshal(t, []byte(workload(apiVersion, k, copied, templates[1])), &want)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				})
			}
		}
	}
}

func workloadRequest(apiVersion, k string, raw []byte) admissionv1.AdmissionRequest {
	group, version, _ := strings.Cut(apiVersion, "/")
	return admissionv1.AdmissionRequest{
		Kind: kind(group, version, k), Namespace: "shop", Name: "orders", Object: runtime.RawExtension{Raw: raw},
	}
}

func unmarshal(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

func TestWorkloadAnswers(t *testing.T) {
	t.Parallel()
	hostNetwork := strings.Replace(template, `"spec":{`, `"spec":{"hostNetwork":true,`, 1)
	owned := `{"bearerguard.dev/inject":"enabled"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"o","uid":"u","controller":true}],"labels":{}`
	for name, tc := range map[string]struct {
		old, object string
		allowed     bool
		message     string
		patched     bool
	}{
		"a mistake is refused where it is made": {
			object:  workload("apps/v1", "Deployment", `{"bearerguard.dev/inject":"enabled","bearerguard.dev/cpu":"lots"}`, template),
			message: `metadata.annotations[bearerguard.dev/cpu]: "lots" is not a quantity; want a CPU request above 0 such as 100m`,
		},
		"a template that every pod of would be refused is refused": {
			object:  workload("apps/v1", "Deployment", `{"bearerguard.dev/inject":"enabled"}`, hostNetwork),
			message: "pod template: spec.hostNetwork: the pod uses the node's network, which a sidecar cannot guard; want it changed, or bearerguard.dev/inject=disabled",
		},
		"an update that changes nothing of ours passes, whatever it holds": {
			old:     workload("apps/v1", "Deployment", `{"bearerguard.dev/inject":"enabled"}`, hostNetwork),
			object:  workload("apps/v1", "Deployment", `{"bearerguard.dev/inject":"enabled","example.com/a":"b"}`, hostNetwork),
			allowed: true,
		},
		"an update that switches the guard off reaches the template": {
			old: workload("apps/v1", "Deployment", `{"bearerguard.dev/inject":"enabled","bearerguard.dev/copied":"{\"inject\":\"enabled\"}"}`,
				strings.Replace(template, `"metadata":{`, `"metadata":{"annotations":{"bearerguard.dev/inject":"enabled"},`, 1)),
			object: workload("apps/v1", "Deployment", `{"bearerguard.dev/inject":"disabled","bearerguard.dev/copied":"{\"inject\":\"enabled\"}"}`,
				strings.Replace(template, `"metadata":{`, `"metadata":{"annotations":{"bearerguard.dev/inject":"enabled"},`, 1)),
			allowed: true, patched: true,
		},
		"a workload of another controller is left alone": {
			object: workload("apps/v1", "Deployment", owned, template), allowed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := serve(t, inject.Namespace{Name: "shop"})
			req := workloadRequest("apps/v1", "Deployment", []byte(tc.object))
			if tc.old != "" {
				req.Operation, req.OldObject = admissionv1.Update, runtime.RawExtension{Raw: []byte(tc.old)}
			}
			resp := h.review(t, webhook.WorkloadsPath, req)
			if resp.Allowed != tc.allowed || resp.Result.Message != tc.message || (resp.Patch != nil) != tc.patched {
				t.Errorf("allowed %v, message %q, patch %s; want %v, %q, patched %v",
					resp.Allowed, resp.Result.Message, resp.Patch, tc.allowed, tc.message, tc.patched)
			}
		})
	}
}

func TestAnswersAreCounted(t *testing.T) {
	t.Parallel()
	h := serve(t, inject.Namespace{Name: "shop"})
	for _, annotations := range []string{`{"bearerguard.dev/inject":"enabled"}`, `{"bearerguard.dev/inject":"maybe"}`, `{}`} {
		h.review(t, webhook.PodsPath, podRequest("shop", []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"a-","annotations":`+annotations+`},"spec":{"containers":[{"name":"app"}]}}`)))
	}
	const want = `
# HELP bearerguard_admission_total Admission requests by webhook, result (allowed, changed, refused, error) and, for pods, the reason.
# TYPE bearerguard_admission_total counter
bearerguard_admission_total{reason="",result="refused",webhook="mutate-pods"} 1
bearerguard_admission_total{reason="Injected",result="changed",webhook="mutate-pods"} 1
bearerguard_admission_total{reason="NotAsked",result="allowed",webhook="mutate-pods"} 1
`
	if err := testutil.GatherAndCompare(h.metrics, strings.NewReader(want), "bearerguard_admission_total"); err != nil {
		t.Error(err)
	}
}
