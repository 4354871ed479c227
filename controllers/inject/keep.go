package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// KeepGuard puts back, in place, the guard that the pod template of old has and that of w has lost, as when kubectl
// rollout undo or kubectl replace brings a manifest from before it. It is to be called before CopyToTemplate, and
// returns sentences for the user.
//
// A guard is lost if neither w nor its template says bearerguard.dev/inject any more. Then all annotations of the project
// come back that w or its template had and lacks now, since they say what the guard is like. The word "disabled", on
// w or in its template, takes the guard out; leaving out the annotation does not.
func KeepGuard(old, w Workload) (warnings []string, err error) {
	if metav1.GetControllerOf(w) != nil || old.Template.Annotations[v1alpha1.AnnotationInject] != enabled {
		return nil, nil
	}
	_, inTemplate := w.Template.Annotations[v1alpha1.AnnotationInject]
	_, onWorkload := w.GetAnnotations()[v1alpha1.AnnotationInject]
	if inTemplate || onWorkload {
		return nil, nil
	}
	return keepGuard(old, w)
}

// TakenOut returns a sentence for the user if the template of old has the guard and that of w, after CopyToTemplate, says that
// it has none.
func TakenOut(old, w Workload) []string {
	if old.Template.Annotations[v1alpha1.AnnotationInject] != enabled || w.Template.Annotations[v1alpha1.AnnotationInject] != disabled {
		return nil
	}
	return []string{v1alpha1.AnnotationInject + "=" + disabled + ": new pods of this workload have no sidecar and take every request"}
}

func keepGuard(old, w Workload) ([]string, error) {
	copied, err := mergeCopied(old.GetAnnotations()[AnnotationCopied], w.GetAnnotations()[AnnotationCopied])
	if err != nil {
		return nil, err
	}
	// As a copy, it follows what is said on the workload, where the user is told to say it.
	copied[strings.TrimPrefix(v1alpha1.AnnotationInject, v1alpha1.Prefix)] = enabled
	own := w.GetAnnotations()
	if own == nil {
		own = map[string]string{}
	}
	own[v1alpha1.AnnotationInject] = enabled
	kept := map[string]bool{v1alpha1.AnnotationInject: true}
	for _, name := range Annotations() {
		if _, now := own[name]; now && name != v1alpha1.AnnotationInject {
			continue // what is said now holds, in the template too
		}
		if value, ok := missing(name, old.GetAnnotations(), own); ok {
			own[name], kept[name] = value, true
		}
		if value, ok := missing(name, old.Template.Annotations, w.Template.Annotations); ok {
			setAnnotation(&w.Template.ObjectMeta, name, value)
			kept[name] = true
		}
	}
	w.SetAnnotations(own)
	if err := recordCopied(w, own, copied); err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("this change took the sidecar out of the pod template without saying so; kept %s. To take it out, say %s=%s on the workload",
		strings.Join(slices.Sorted(maps.Keys(kept)), ", "), v1alpha1.AnnotationInject, disabled)}, nil
}

// missing returns the annotation of old that now does not have.
func missing(name string, old, now map[string]string) (value string, ok bool) {
	if value, ok = old[name]; !ok {
		return "", false
	}
	_, has := now[name]
	return value, !has
}

// mergeCopied joins two notes of what was copied; what now says holds. A note of old that cannot be read says nothing.
func mergeCopied(old, now string) (map[string]string, error) {
	out := map[string]string{}
	if old != "" && json.Unmarshal([]byte(old), &out) != nil {
		out = map[string]string{}
	}
	next, err := decodeCopied(now)
	if err != nil {
		return nil, err
	}
	maps.Copy(out, next)
	return out, nil
}
