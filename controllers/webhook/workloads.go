package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// workloadHandler copies a workload's annotations into its pod template.
type workloadHandler struct {
	cfg       Config
	decoder   admission.Decoder
	namespace func(context.Context, string) (inject.Namespace, error)
}

func (h *workloadHandler) handle(ctx context.Context, req admission.Request) answer {
	obj, w, err := h.decode(req.Kind.Kind, req.Object)
	if err != nil {
		return failed(http.StatusBadRequest, "decode workload", err)
	}
	before := w
	if req.Operation == admissionv1.Update {
		if _, before, err = h.decode(req.Kind.Kind, req.OldObject); err != nil {
			return failed(http.StatusBadRequest, "decode old workload", err)
		}
		if unchanged(before, w) {
			return allowed("Unchanged", nil)
		}
	}
	if metav1.GetControllerOf(w) != nil {
		return allowed("Owned", nil)
	}
	ns, err := h.namespace(ctx, req.Namespace)
	if err != nil {
		return failed(http.StatusInternalServerError, "read namespace of workload", err)
	}
	return h.copyAndTry(change{obj: obj, raw: req.Object.Raw, old: before, now: w}, ns)
}

// change is a workload at hand: its object, as JSON too, and what it was before, which is itself if it is new.
type change struct {
	obj      runtime.Object
	raw      []byte
	old, now inject.Workload
}

// copyAndTry keeps the guard and copies the annotations, then injects a pod of the template and throws it away: what would be
// refused at every pod is refused here, where the user sees it.
func (h *workloadHandler) copyAndTry(c change, ns inject.Namespace) answer {
	w := c.now
	before := maps.Clone(w.GetAnnotations())
	templateBefore := maps.Clone(w.Template.Annotations)
	warnings, err := inject.KeepGuard(c.old, w)
	if err != nil {
		return refused(err)
	}
	reason := "Copied"
	if len(warnings) > 0 {
		reason = "GuardKept"
	}
	copying, err := inject.CopyToTemplate(w)
	if err != nil {
		return refused(err)
	}
	warnings = append(append(warnings, copying...), inject.TakenOut(c.old, w)...)
	pod := &corev1.Pod{ObjectMeta: *w.Template.ObjectMeta.DeepCopy(), Spec: w.Template.Spec}
	result, err := inject.Inject(pod, h.cfg.Inject.In(ns))
	if err != nil {
		return refused(fmt.Errorf("pod template: %w", err))
	}
	warnings = append(warnings, result.Warnings...)
	patches := mapPatch("/metadata/annotations", before, w.GetAnnotations())
	if !maps.Equal(templateBefore, w.Template.Annotations) {
		patches = append(patches, templatePatch(c.obj, c.raw, w)...)
	}
	if len(patches) == 0 {
		return allowed("", warnings)
	}
	return changed(reason, patches, warnings)
}

// decode reads a workload of one of the kinds that have a template.
func (h *workloadHandler) decode(kind string, raw runtime.RawExtension) (runtime.Object, inject.Workload, error) {
	var obj runtime.Object
	switch kind {
	case "Deployment":
		obj = &appsv1.Deployment{}
	case "StatefulSet":
		obj = &appsv1.StatefulSet{}
	case "DaemonSet":
		obj = &appsv1.DaemonSet{}
	case "ReplicaSet":
		obj = &appsv1.ReplicaSet{}
	case "Job":
		obj = &batchv1.Job{}
	case "CronJob":
		obj = &batchv1.CronJob{}
	default:
		return nil, inject.Workload{}, fmt.Errorf("kind %q has no pod template; want Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob", kind)
	}
	if err := h.decoder.DecodeRaw(raw, obj); err != nil {
		return nil, inject.Workload{}, err
	}
	w, _ := inject.WorkloadOf(obj)
	return obj, w, nil
}

// unchanged reports whether an update leaves alone all that this webhook looks at. Such an update is never refused: an
// object from before an upgrade must not get stuck over a rule that is newer than it.
func unchanged(old, now inject.Workload) bool {
	return maps.Equal(own(old.GetAnnotations()), own(now.GetAnnotations())) &&
		equality.Semantic.DeepEqual(old.Template, now.Template)
}

// own returns the project's annotations.
func own(annotations map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range annotations {
		if strings.HasPrefix(k, v1alpha1.Prefix) {
			out[k] = v
		}
	}
	return out
}

// templatePatch sets the template's annotations, and its metadata where the request's object has none.
func templatePatch(obj runtime.Object, raw []byte, w inject.Workload) []operation {
	path := "/spec/template/metadata"
	if _, ok := obj.(*batchv1.CronJob); ok {
		path = "/spec/jobTemplate" + path
	}
	if hasObject(raw, path) {
		return []operation{add(path+"/annotations", w.Template.Annotations)}
	}
	return []operation{add(path, map[string]any{"annotations": w.Template.Annotations})}
}

// hasObject reports whether raw has an object at a JSON pointer without escapes.
func hasObject(raw []byte, pointer string) bool {
	for _, name := range strings.Split(pointer, "/")[1:] {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			return false
		}
		raw = members[name]
	}
	return len(raw) > 0 && raw[0] == '{'
}
