package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// AnnotationCopied is set on a workload: the annotations that were copied into its pod template, with their values, as
// a JSON object by the name behind the prefix. What the user wrote into the template himself is not in it.
const AnnotationCopied = v1alpha1.Prefix + "copied"

// Workload is an object with a pod template.
type Workload struct {
	metav1.Object
	// Template is the workload's own template, not a copy.
	Template *corev1.PodTemplateSpec
}

// WorkloadOf returns obj as a Workload if it is a Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob.
func WorkloadOf(obj any) (Workload, bool) {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return Workload{o, &o.Spec.Template}, true
	case *appsv1.StatefulSet:
		return Workload{o, &o.Spec.Template}, true
	case *appsv1.DaemonSet:
		return Workload{o, &o.Spec.Template}, true
	case *appsv1.ReplicaSet:
		return Workload{o, &o.Spec.Template}, true
	case *batchv1.Job:
		return Workload{o, &o.Spec.Template}, true
	case *batchv1.CronJob:
		return Workload{o, &o.Spec.JobTemplate.Spec.Template}, true
	}
	return Workload{}, false
}

// CopyToTemplate copies the bearerguard.dev/ annotations of a workload into its pod template, in place, so that
// annotating the workload alone rolls it out. It returns sentences for the user.
//
// The nearest wins: what the user wrote into the template himself stays. What was copied before follows the workload's
// annotation, and goes with it, except bearerguard.dev/inject=enabled: taking that away leaves the guard in place until the
// workload says disabled, since a removal must never open an app by accident. A workload that a controller owns is left
// alone, as its owner decides on its template. The error names an annotation that is unknown or malformed.
func CopyToTemplate(w Workload) (warnings []string, err error) {
	if metav1.GetControllerOf(w) != nil {
		return nil, nil
	}
	annotations := w.GetAnnotations()
	if err := checkWorkload(annotations); err != nil {
		return nil, err
	}
	copied, err := decodeCopied(annotations[AnnotationCopied])
	if err != nil {
		return nil, err
	}
	next := map[string]string{}
	for _, name := range Annotations() {
		short := strings.TrimPrefix(name, v1alpha1.Prefix)
		was, wasCopied := copied[short]
		value, note, warning := copyOne(w, name, was, wasCopied)
		if note {
			next[short] = value
		}
		if warning != "" {
			warnings = append(warnings, warning)
		}
	}
	return warnings, recordCopied(w, annotations, next)
}

// copyOne copies one annotation, of which was is what was copied before. It returns what the template now has as a copy,
// if it has, and a sentence for the user.
func copyOne(w Workload, name, was string, wasCopied bool) (value string, note bool, warning string) {
	want, wanted := w.GetAnnotations()[name]
	have, has := w.Template.Annotations[name]
	mine := wasCopied && has && have == was
	switch {
	case wanted && (!has || mine):
		setAnnotation(&w.Template.ObjectMeta, name, want)
		return want, true, ""
	case wanted && have != want:
		return "", false, fmt.Sprintf("the pod template says %s=%s itself; the nearest wins", name, have)
	case wanted || !mine:
		return "", false, ""
	case name != v1alpha1.AnnotationInject || was != enabled:
		delete(w.Template.Annotations, name)
		return "", false, ""
	}
	return was, true, fmt.Sprintf("the pod template keeps %s=%s; say %s=%s to take the sidecar out", name, was, name, disabled)
}

// checkWorkload refuses annotations that no pod may carry. Whether they fit each other is decided on the pod.
func checkWorkload(annotations map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if !strings.HasPrefix(name, v1alpha1.Prefix) || name == AnnotationCopied {
			continue
		}
		if name == v1alpha1.AnnotationInjected {
			return refuse(annotation(name), "it left out: admission sets it on pods", "does not belong on a workload")
		}
		s := settings{said: map[string]said{}}
		if err := s.set(place{rank: ofPod}, name, annotations[name]); err != nil {
			return err
		}
	}
	return nil
}

func decodeCopied(value string) (map[string]string, error) {
	if value == "" {
		return nil, nil
	}
	var out map[string]string
	if err := json.Unmarshal([]byte(value), &out); err != nil {
		return nil, refuse(annotation(AnnotationCopied), "it left out: admission sets it", "is not a JSON object of strings")
	}
	return out, nil
}

// recordCopied notes on the workload what was copied.
func recordCopied(w Workload, annotations, copied map[string]string) error {
	if len(copied) == 0 {
		delete(annotations, AnnotationCopied)
		return nil
	}
	b, err := json.Marshal(copied)
	if err != nil {
		return fmt.Errorf("encode %s: %w", AnnotationCopied, err)
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationCopied] = string(b)
	w.SetAnnotations(annotations)
	return nil
}

func setAnnotation(o *metav1.ObjectMeta, name, value string) {
	if o.Annotations == nil {
		o.Annotations = map[string]string{}
	}
	o.Annotations[name] = value
}
