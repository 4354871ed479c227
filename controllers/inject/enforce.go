package inject

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/cell"
)

// Enforced reports whether pods of ns are refused without the sidecar. A value that is not known counts as true.
func (ns Namespace) Enforced() bool {
	v, ok := ns.Labels[v1alpha1.LabelEnforce]
	return ok && v != "false"
}

// asks reports whether ns asks for sidecars for its pods.
func (ns Namespace) asks() bool { return ns.Labels[v1alpha1.LabelInject] == enabled }

// Opened returns sentences for the user: what pods made from now on lose by a change of their namespace's labels.
func Opened(old, now Namespace) []string {
	var out []string
	if old.asks() && !now.asks() {
		out = append(out, fmt.Sprintf("namespace %s no longer asks for sidecars: new pods that do not ask themselves have none and take every request", now.Name))
	}
	if old.Enforced() && !now.Enforced() {
		out = append(out, fmt.Sprintf("namespace %s no longer enforces sidecars: pods may leave theirs out", now.Name))
	}
	return out
}

// Moved returns a sentence for the user if a namespace goes to another release: its pods do not.
func Moved(old, now Namespace) []string {
	from, to := old.Labels[v1alpha1.LabelRevision], now.Labels[v1alpha1.LabelRevision]
	if from == to {
		return nil
	}
	return []string{fmt.Sprintf("namespace %s goes from %s to %s: pods stay with the release that injected them until they are restarted: "+
		"kubectl -n %s rollout restart deployment,statefulset,daemonset", now.Name, releaseOf(from), releaseOf(to), now.Name)}
}

func releaseOf(revision string) string {
	if revision == "" {
		return "the default release"
	}
	return "revision " + revision
}

// checkLabels refuses labels of a namespace with a value that is not known, and those that are not known.
func checkLabels(ns Namespace) error {
	var errs []error
	known := map[string][]string{v1alpha1.LabelInject: {enabled, disabled}, v1alpha1.LabelEnforce: {"true", "false"}}
	for _, name := range slices.Sorted(maps.Keys(ns.Labels)) {
		field, value := "metadata.labels["+name+"] of namespace "+ns.Name, ns.Labels[name]
		switch values, ok := known[name]; {
		case !strings.HasPrefix(name, v1alpha1.Prefix) || slices.Contains(values, value):
		case name == v1alpha1.LabelRevision:
			if cell.CheckRevision(value) != nil {
				errs = append(errs, refuse(field, "the revision of a release, such as blue, or no label for the default one", "%q is no name", value))
			}
		case ok:
			errs = append(errs, refuse(field, strings.Join(values, " or "), "%q is neither", value))
		default:
			errs = append(errs, refuse(field, oneOf([]string{v1alpha1.LabelEnforce, v1alpha1.LabelInject, v1alpha1.LabelRevision}), "is not known"))
		}
	}
	return errors.Join(errs...)
}

// WantAdmitted is in the error of Verify where something of the guard is missing or another.
const WantAdmitted = "what admission puts there"

// Verify returns nil if pod carries the very guard that Inject would give it, whatever the pod asks for itself. A container
// of the sidecar's name is no guard if its image, its command, its environment or anything else that it runs by is another.
func Verify(pod *corev1.Pod, cfg Config) error {
	if !slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == SidecarName }) {
		return refuse("spec.initContainers", v1alpha1.AnnotationInject+"="+enabled+" on the pod, its template or its namespace",
			"has no sidecar, and namespace %s (%s) takes no pod without one", cfg.Namespace.Name, v1alpha1.LabelEnforce)
	}
	asking := pod.DeepCopy()
	setAnnotation(&asking.ObjectMeta, v1alpha1.AnnotationInject, enabled)
	result, err := Inject(asking, cfg)
	if err != nil {
		return err
	}
	if !result.Injected() {
		return nil // a namespace that runs the cluster
	}
	return errors.Join(compareContainers(pod, result.Pod), compareVolumes(pod, result.Pod))
}

// compareContainers returns what differs in the containers of the sidecar's.
func compareContainers(got, want *corev1.Pod) error {
	for _, w := range want.Spec.InitContainers {
		if !ours(w.Name) {
			continue
		}
		at := "spec.initContainers[" + w.Name + "]"
		i := slices.IndexFunc(got.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == w.Name })
		if i < 0 {
			return refuse(at, WantAdmitted, "is missing")
		}
		for _, f := range runsBy(got.Spec.InitContainers[i], w) {
			if !equality.Semantic.DeepEqual(f.got, f.want) {
				return refuse(at+"."+f.name, WantAdmitted, "is another")
			}
		}
	}
	return nil
}

// field is a field of two objects.
type field struct {
	name      string
	got, want any
}

// runsBy returns the fields by which a container does what it does. Others may be set by defaults of the namespace, such as
// resources by a LimitRange.
func runsBy(got, want corev1.Container) []field {
	return []field{
		{"image", got.Image, want.Image}, {"command", got.Command, want.Command}, {"args", got.Args, want.Args},
		{"workingDir", got.WorkingDir, want.WorkingDir}, {"env", got.Env, want.Env}, {"envFrom", got.EnvFrom, want.EnvFrom},
		{"restartPolicy", got.RestartPolicy, want.RestartPolicy}, {"lifecycle", got.Lifecycle, want.Lifecycle},
		{"securityContext", got.SecurityContext, want.SecurityContext},
		{"volumeMounts", got.VolumeMounts, want.VolumeMounts}, {"volumeDevices", got.VolumeDevices, want.VolumeDevices},
		{"livenessProbe.exec", execOf(got.LivenessProbe), execOf(want.LivenessProbe)},
		{"readinessProbe.exec", execOf(got.ReadinessProbe), execOf(want.ReadinessProbe)},
		{"startupProbe.exec", execOf(got.StartupProbe), execOf(want.StartupProbe)},
	}
}

// execOf returns what a probe runs inside the container; nil: nothing.
func execOf(p *corev1.Probe) *corev1.ExecAction {
	if p == nil {
		return nil
	}
	return p.Exec
}

// compareVolumes returns what differs in the volumes of the sidecar's.
func compareVolumes(got, want *corev1.Pod) error {
	for _, w := range want.Spec.Volumes {
		if !ourVolume(w.Name) || slices.ContainsFunc(got.Spec.Volumes, func(v corev1.Volume) bool { return equality.Semantic.DeepEqual(v, w) }) {
			continue
		}
		return refuse("spec.volumes["+w.Name+"]", WantAdmitted, "is missing or another")
	}
	return nil
}
