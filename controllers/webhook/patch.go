package webhook

import (
	"fmt"
	"maps"
	"slices"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// operation is one operation of a JSON patch (RFC 6902).
type operation = jsonpatch.JsonPatchOperation

func add(path string, value any) operation {
	return operation{Operation: "add", Path: path, Value: value}
}

func remove(path string) operation { return operation{Operation: "remove", Path: path} }

// podPatch returns what leads from before to after, as far as injection changes pods: annotations, labels, the sidecar's
// containers, volumes and Secrets to pull its image with, probes, lifecycle hooks and mounts. Containers are told apart by name, so that none takes over a field of another.
func podPatch(before, after *corev1.Pod) []operation {
	var out []operation
	out = append(out, mapPatch("/metadata/annotations", before.Annotations, after.Annotations)...)
	out = append(out, mapPatch("/metadata/labels", before.Labels, after.Labels)...)
	out = append(out, containerPatch("/spec/containers", before.Spec.Containers, after.Spec.Containers)...)
	out = append(out, containerPatch("/spec/initContainers", before.Spec.InitContainers, after.Spec.InitContainers)...)
	out = append(out, listPatch("/spec/initContainers", before.Spec.InitContainers, after.Spec.InitContainers,
		func(c corev1.Container) string { return c.Name })...)
	out = append(out, listPatch("/spec/imagePullSecrets", before.Spec.ImagePullSecrets, after.Spec.ImagePullSecrets,
		func(r corev1.LocalObjectReference) string { return r.Name })...)
	return append(out, listPatch("/spec/volumes", before.Spec.Volumes, after.Spec.Volumes,
		func(v corev1.Volume) string { return v.Name })...)
}

func mapPatch(path string, before, after map[string]string) []operation {
	if maps.Equal(before, after) {
		return nil
	}
	return []operation{add(path, after)}
}

// containerPatch replaces probes, hooks and mounts that differ, at the index that the container has before anything is added or
// removed.
func containerPatch(path string, before, after []corev1.Container) []operation {
	var out []operation
	for i, b := range before {
		j := slices.IndexFunc(after, func(a corev1.Container) bool { return a.Name == b.Name })
		if j < 0 || sidecarItem(b.Name) {
			continue
		}
		a, at := after[j], fmt.Sprintf("%s/%d", path, i)
		out = fieldPatch(out, at+"/startupProbe", b.StartupProbe, a.StartupProbe)
		out = fieldPatch(out, at+"/readinessProbe", b.ReadinessProbe, a.ReadinessProbe)
		out = fieldPatch(out, at+"/livenessProbe", b.LivenessProbe, a.LivenessProbe)
		out = fieldPatch(out, at+"/lifecycle", b.Lifecycle, a.Lifecycle)
		out = fieldPatch(out, at+"/volumeMounts", some(b.VolumeMounts), some(a.VolumeMounts))
	}
	return out
}

// some is a list as a field that is there or not.
func some[T any](list []T) *[]T {
	if len(list) == 0 {
		return nil
	}
	return &list
}

// fieldPatch appends what leads from before to after.
func fieldPatch[T any](out []operation, path string, before, after *T) []operation {
	switch {
	case equality.Semantic.DeepEqual(before, after):
		return out
	case after == nil:
		return append(out, remove(path))
	}
	return append(out, add(path, after))
}

// listPatch removes and adds items, told apart by name. Items that are in both lists keep their order; one of the
// sidecar's that differs is taken out and put in anew.
func listPatch[T any](path string, before, after []T, name func(T) string) []operation {
	if len(before) == 0 {
		if len(after) == 0 {
			return nil
		}
		return []operation{add(path, after)}
	}
	var out []operation
	kept := map[string]bool{}
	for i, b := range slices.Backward(before) {
		j := slices.IndexFunc(after, func(a T) bool { return name(a) == name(b) })
		if j >= 0 && (!sidecarItem(name(b)) || equality.Semantic.DeepEqual(b, after[j]) && i == j) {
			kept[name(b)] = true
			continue
		}
		out = append(out, remove(fmt.Sprintf("%s/%d", path, i)))
	}
	for j, a := range after {
		if !kept[name(a)] {
			out = append(out, add(fmt.Sprintf("%s/%d", path, j), a))
		}
	}
	return out
}
