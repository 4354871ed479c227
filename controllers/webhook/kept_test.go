package webhook_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// guardsKept takes the guard away as ordinary commands do, from workloads of every kind.
func (c *cluster) guardsKept(t *testing.T) {
	const merge, list = types.MergePatchType, types.JSONPatchType
	annotate := `{"metadata":{"annotations":{"bearerguard.dev/inject":"enabled","bearerguard.dev/exclude-ports":"9000"}}}`
	for name, command := range map[string]struct {
		kind  types.PatchType
		patch string // "": a PUT of the object as it was before
	}{
		"kubectl rollout undo": {list, `[{"op":"replace","path":"TEMPLATE","value":ORIGINAL},{"op":"replace","path":"/metadata/annotations","value":{"deployment.kubernetes.io/revision":"2"}}]`},
		"kubectl replace":      {"", ""},
		"kubectl patch":        {merge, `{"metadata":{"annotations":null},"spec":{"template":{"metadata":{"annotations":null}}}}`},
	} {
		for kind, o := range guardable() {
			_, cron := o.(*batchv1.CronJob)
			if cron && command.kind != "" {
				continue // its template lies elsewhere
			}
			o.SetName("keep-" + strings.ToLower(kind) + "-" + strings.Fields(name)[1])
			if err := c.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			original := o.DeepCopyObject().(client.Object)
			c.annotate(t, o, annotate)
			if said := saidIn(o); said[injectKey] != "enabled" || said[v1alpha1.AnnotationExcludePorts] != "9000" {
				t.Fatalf("%s: the template says %v", kind, said)
			}
			c.warnings.last = nil
			c.takeAway(t, o, original, command.kind, command.patch)
			if said := saidIn(o); said[injectKey] != "enabled" || said[v1alpha1.AnnotationExcludePorts] != "9000" {
				t.Errorf("%s of a %s opened the app: its template says %v", name, kind, said)
			}
			if !slices.ContainsFunc(c.warnings.last, func(w string) bool {
				return strings.Contains(w, "kept bearerguard.dev/exclude-ports, bearerguard.dev/inject")
			}) {
				t.Errorf("%s of a %s: no warning of what was kept: %q", name, kind, c.warnings.last)
			}
			c.annotate(t, o, `{"metadata":{"annotations":{"bearerguard.dev/inject":"disabled"}}}`)
			if said := saidIn(o); said[injectKey] != "disabled" {
				t.Errorf("%s: disabled on the workload does not take the guard out: %v", kind, said)
			}
		}
	}
	c.writtenIntoTheTemplate(t)
}

// takeAway does to o what a command does.
func (c *cluster) takeAway(t *testing.T, o, original client.Object, kind types.PatchType, patch string) {
	t.Helper()
	if patch == "" {
		original.SetResourceVersion("")
		if err := c.Update(t.Context(), original); err != nil {
			t.Fatal(err)
		}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Fatal(err)
		}
		return
	}
	w, _ := inject.WorkloadOf(original)
	patch = strings.NewReplacer("TEMPLATE", "/spec/template", "ORIGINAL", string(toJSON(t, w.Template))).Replace(patch)
	if err := c.Patch(t.Context(), o, client.RawPatch(kind, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// writtenIntoTheTemplate has a guard that the workload itself never spoke of: nothing else is left of it but the old object.
func (c *cluster) writtenIntoTheTemplate(t *testing.T) {
	d := deploymentOf("plain", nil, asked)
	if err := c.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	c.annotate(t, d, `{"spec":{"template":{"metadata":{"annotations":null}}}}`)
	if said := saidIn(d); said[injectKey] != "enabled" {
		t.Errorf("a template that lost its annotation opened the app: it says %v", said)
	}
	c.annotate(t, d, `{"spec":{"template":{"metadata":{"annotations":{"bearerguard.dev/inject":"disabled"}}}}}`)
	if said := saidIn(d); said[injectKey] != "disabled" {
		t.Errorf("disabled in the template does not take the guard out: %v", said)
	}
}

func saidIn(o client.Object) map[string]string {
	w, _ := inject.WorkloadOf(o)
	return maps.Clone(w.Template.Annotations)
}

// guardable returns a workload of each kind whose template can change.
func guardable() map[string]client.Object {
	template := deploymentOf("plain", nil, nil).Spec.Template
	template.Spec.RestartPolicy = "Always"
	selector := &metav1.LabelSelector{MatchLabels: template.Labels}
	meta := metav1.ObjectMeta{Namespace: "plain"}
	return map[string]client.Object{
		"Deployment":  &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: template}},
		"StatefulSet": &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template}},
		"DaemonSet":   &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}},
		"ReplicaSet":  &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template}},
		"CronJob":     cronJobOf("plain", nil),
	}
}
