package inject_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

type annotations = map[string]string

const (
	injectKey  = "bearerguard.dev/inject"
	portsKey   = "bearerguard.dev/exclude-ports"
	copiedKey  = inject.AnnotationCopied
	keptNotice = "the pod template keeps bearerguard.dev/inject=enabled; say bearerguard.dev/inject=disabled to take the sidecar out"
)

func TestCopyToTemplate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		own, template         annotations
		owned                 bool
		wantOwn, wantTemplate annotations
		warnings              []string
	}{
		"annotations are copied, others are not": {
			own:          annotations{injectKey: "enabled", portsKey: "9000", "example.com/a": "b"},
			wantOwn:      annotations{injectKey: "enabled", portsKey: "9000", "example.com/a": "b", copiedKey: `{"exclude-ports":"9000","inject":"enabled"}`},
			wantTemplate: annotations{injectKey: "enabled", portsKey: "9000"},
		},
		"flags of the sidecar are copied, and go when they are taken away": {
			own:          annotations{"bearerguard.dev/trust-forwarded": "10.0.0.0/8", copiedKey: `{"idle-timeout":"2m"}`},
			template:     annotations{"bearerguard.dev/idle-timeout": "2m"},
			wantOwn:      annotations{"bearerguard.dev/trust-forwarded": "10.0.0.0/8", copiedKey: `{"trust-forwarded":"10.0.0.0/8"}`},
			wantTemplate: annotations{"bearerguard.dev/trust-forwarded": "10.0.0.0/8"},
		},
		"nothing to copy changes nothing": {
			own: annotations{"example.com/a": "b"}, wantOwn: annotations{"example.com/a": "b"},
		},
		"what was copied follows the workload": {
			own:          annotations{injectKey: "disabled", copiedKey: `{"inject":"enabled"}`},
			template:     annotations{injectKey: "enabled"},
			wantOwn:      annotations{injectKey: "disabled", copiedKey: `{"inject":"disabled"}`},
			wantTemplate: annotations{injectKey: "disabled"},
		},
		"a second copy changes nothing": {
			own:          annotations{injectKey: "enabled", copiedKey: `{"inject":"enabled"}`},
			template:     annotations{injectKey: "enabled"},
			wantOwn:      annotations{injectKey: "enabled", copiedKey: `{"inject":"enabled"}`},
			wantTemplate: annotations{injectKey: "enabled"},
		},
		"what the template says itself wins": {
			own: annotations{injectKey: "disabled"}, template: annotations{injectKey: "enabled"},
			wantOwn: annotations{injectKey: "disabled"}, wantTemplate: annotations{injectKey: "enabled"},
			warnings: []string{"the pod template says bearerguard.dev/inject=enabled itself; the nearest wins"},
		},
		"a template changed by hand is no longer followed": {
			own:          annotations{injectKey: "enabled", copiedKey: `{"inject":"enabled"}`},
			template:     annotations{injectKey: "disabled"},
			wantOwn:      annotations{injectKey: "enabled"},
			wantTemplate: annotations{injectKey: "disabled"},
			warnings:     []string{"the pod template says bearerguard.dev/inject=disabled itself; the nearest wins"},
		},
		"a replaced template gets its copy back": {
			own:          annotations{injectKey: "enabled", copiedKey: `{"inject":"enabled"}`},
			wantOwn:      annotations{injectKey: "enabled", copiedKey: `{"inject":"enabled"}`},
			wantTemplate: annotations{injectKey: "enabled"},
		},
		"taking inject away leaves the guard in place": {
			own:          annotations{copiedKey: `{"inject":"enabled"}`},
			template:     annotations{injectKey: "enabled"},
			wantOwn:      annotations{copiedKey: `{"inject":"enabled"}`},
			wantTemplate: annotations{injectKey: "enabled"},
			warnings:     []string{keptNotice},
		},
		"taking disabled away leaves it to the namespace": {
			own:          annotations{copiedKey: `{"inject":"disabled"}`},
			template:     annotations{injectKey: "disabled"},
			wantOwn:      annotations{},
			wantTemplate: annotations{},
		},
		"taking another one away takes its copy away": {
			own:          annotations{injectKey: "enabled", copiedKey: `{"exclude-ports":"9000","inject":"enabled"}`},
			template:     annotations{injectKey: "enabled", portsKey: "9000"},
			wantOwn:      annotations{injectKey: "enabled", copiedKey: `{"inject":"enabled"}`},
			wantTemplate: annotations{injectKey: "enabled"},
		},
		"a workload that a controller owns is left alone": {
			own: annotations{injectKey: "enabled"}, owned: true, wantOwn: annotations{injectKey: "enabled"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, w := range workloads() {
				w.SetAnnotations(clone(tc.own))
				w.Template.Annotations = clone(tc.template)
				if tc.owned {
					w.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Owner", Name: "o", Controller: new(true)}})
				}
				warnings, err := inject.CopyToTemplate(w)
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				got := []any{w.GetAnnotations(), w.Template.Annotations, warnings}
				if diff := cmp.Diff([]any{tc.wantOwn, tc.wantTemplate, tc.warnings}, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", kind, diff)
				}
			}
		})
	}
}

func TestCopyToTemplateRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		own  annotations
		want string
	}{
		"a name that is not known": {annotations{"bearerguard.dev/injcet": "enabled"},
			"metadata.annotations[bearerguard.dev/injcet]: is not known; want one of bearerguard.dev/{app-address,app-protocol,capture,cpu,cpu-limit,dial-timeout,drain,drain-wait,exclude-ports,idle-timeout,inject,log-allow-every,log-format,log-level,log-scopes,log-subjects,max-body-bytes,max-connections,max-connections-per-client,max-header-bytes,max-headers,max-http2-connections,max-http2-requests,max-resets,max-staleness,max-streams,max-url-bytes,memory,memory-limit,min-body-rate,ports,read-header-timeout,readiness,response-timeout,tls-cert,tls-client-ca,tls-permissive,tls-request-client-cert,token-audiences,token-cache-bytes,trace-ca,trace-endpoint,trace-headers,trace-protocol,trace-rate,trace-ratio,trace-service,trust-forwarded,write-timeout}"},
		"a malformed value": {annotations{injectKey: "yes"},
			`metadata.annotations[bearerguard.dev/inject]: "yes" is neither; want enabled or disabled`},
		"the mark of an injected pod": {annotations{"bearerguard.dev/injected": "v1"},
			"metadata.annotations[bearerguard.dev/injected]: does not belong on a workload; want it left out: admission sets it on pods"},
		"a garbled note of what was copied": {annotations{copiedKey: "["},
			"metadata.annotations[bearerguard.dev/copied]: is not a JSON object of strings; want it left out: admission sets it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, w := range workloads() {
				w.SetAnnotations(clone(tc.own))
				_, err := inject.CopyToTemplate(w)
				if err == nil || err.Error() != tc.want {
					t.Errorf("%s: got %v, want %s", kind, err, tc.want)
				}
				if w.Template.Annotations != nil {
					t.Errorf("%s: template changed: %v", kind, w.Template.Annotations)
				}
			}
		})
	}
}

func TestOtherObjectsAreNoWorkloads(t *testing.T) {
	t.Parallel()
	if _, ok := inject.WorkloadOf(&corev1.Pod{}); ok {
		t.Error("a pod is taken for a workload")
	}
}

func workloads() map[string]inject.Workload {
	out := map[string]inject.Workload{}
	for kind, obj := range map[string]any{
		"Deployment": &appsv1.Deployment{}, "StatefulSet": &appsv1.StatefulSet{}, "DaemonSet": &appsv1.DaemonSet{},
		"ReplicaSet": &appsv1.ReplicaSet{}, "Job": &batchv1.Job{}, "CronJob": &batchv1.CronJob{},
	} {
		w, ok := inject.WorkloadOf(obj)
		if !ok {
			panic(kind + " is no workload")
		}
		out[kind] = w
	}
	return out
}

func clone(m annotations) annotations {
	if m == nil {
		return nil
	}
	out := annotations{}
	for k, v := range m {
		out[k] = v
	}
	return out
}
