package inject

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Result is what became of a pod.
type Result struct {
	// Pod is the pod to run: a changed copy if Reason is Injected, else the one that was given.
	Pod *corev1.Pod
	// Reason says why it was or was not injected.
	Reason Reason
	// Warnings are sentences for the user: what was injected but may not do what is hoped for.
	Warnings []string
}

// Injected reports whether the pod carries the sidecar and was meant to.
func (r Result) Injected() bool { return r.Reason == Injected || r.Reason == AlreadyInjected }

// Inject returns pod with the sidecar, or as it is if there is a reason to skip it. The given pod is never changed.
//
// The error joins one *Error per field that is wrong; the pod must then be refused, since it asked for a guard that it
// would not get. cfg must be valid and, through Config.In, know the pod's namespace.
func Inject(pod *corev1.Pod, cfg Config) (Result, error) {
	by, reason, err := asked(pod, cfg.Namespace)
	if err != nil {
		return Result{}, err
	}
	if reason == Disabled {
		return Result{Pod: pod, Reason: Disabled}, nil
	}
	s, err := parseSettings(pod.Annotations, cfg)
	if err != nil {
		return Result{}, err
	}
	if reason != "" {
		return Result{Pod: pod, Reason: reason, Warnings: s.tokenWarnings()}, nil
	}
	if reason, field := unfit(pod, cfg); reason != "" {
		return skip(pod, by, reason, field)
	}
	return s.inject(pod, cfg)
}

// asker is who asked for the sidecar.
type asker int

const (
	nobody asker = iota
	byNamespace
	byPod
)

// asked returns who asks for the sidecar, or the reason why it is not wanted.
func asked(pod *corev1.Pod, ns Namespace) (asker, Reason, error) {
	if v, ok := pod.Labels[v1alpha1.LabelInject]; ok {
		return nobody, "", refuse("metadata.labels["+v1alpha1.LabelInject+"]", "the annotation "+v1alpha1.AnnotationInject,
			"is a label (%q), which only a namespace has", v)
	}
	if v, ok := pod.Annotations[v1alpha1.AnnotationInject]; ok {
		on, err := parseInject(annotation(v1alpha1.AnnotationInject), v)
		if err != nil || !on {
			return nobody, Disabled, err
		}
		return byPod, "", nil
	}
	if v, ok := ns.Labels[v1alpha1.LabelInject]; ok {
		on, err := parseInject("metadata.labels["+v1alpha1.LabelInject+"] of namespace "+ns.Name, v)
		if err != nil || !on {
			return nobody, NotAsked, err
		}
		return byNamespace, "", nil
	}
	return nobody, NotAsked, nil
}

// unfit returns why a pod cannot carry the sidecar, and the field that says so; "" if it can.
func unfit(pod *corev1.Pod, cfg Config) (Reason, string) {
	for _, ns := range cfg.ExcludedNamespaces {
		if ns == cfg.Namespace.Name {
			return ExcludedNamespace, "metadata.namespace"
		}
	}
	if _, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]; ok {
		return StaticPod, annotation(corev1.MirrorPodAnnotationKey)
	}
	if pod.Spec.HostNetwork {
		return HostNetwork, "spec.hostNetwork"
	}
	if pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows {
		return Windows, "spec.os.name"
	}
	return "", ""
}

// skip refuses a pod that cannot carry the sidecar, whoever asked for it: it would run without the guard. Two pods are left
// as they are: in an excluded namespace nothing is refused, so that the cluster can always start, and a static pod of a
// namespace that asks runs on its node whatever is said here.
func skip(pod *corev1.Pod, by asker, reason Reason, field string) (Result, error) {
	if reason == ExcludedNamespace || reason == StaticPod && by == byNamespace {
		return Result{Pod: pod, Reason: reason, Warnings: []string{"not guarded by bearerguard: " + reason.Sentence()}}, nil
	}
	return Result{}, refuse(field, "it changed, or "+v1alpha1.AnnotationInject+"=disabled", "%s", reason.Sentence())
}

// inject puts the sidecar into a copy of pod.
func (s *settings) inject(pod *corev1.Pod, cfg Config) (Result, error) {
	out := pod.DeepCopy()
	if err := restore(out); err != nil {
		return Result{}, err
	}
	if err := errors.Join(checkNames(out), s.checkPorts(out), s.resolveDrainWait(out), s.mountTokens(out)); err != nil {
		return Result{}, err
	}
	originals, warnings := s.rewriteProbes(out)
	probes, err := encodeProbes(originals)
	if err != nil {
		return Result{}, err
	}
	s.hold(out)
	warnings = append(warnings, s.keepGuaranteed(out)...)
	var added []corev1.Container
	if s.capture == Redirect {
		added = append(added, s.captureContainer(cfg))
	}
	added = append(added, s.sidecar(cfg, probes))
	out.Spec.InitContainers = append(added, out.Spec.InitContainers...)
	out.Spec.Volumes = append(out.Spec.Volumes, s.volumes(cfg.caConfigMap())...)
	out.Spec.ImagePullSecrets = addSecrets(out.Spec.ImagePullSecrets, cfg.ImagePullSecrets)
	s.mark(out, cfg.Version)
	warnings = append(warnings, s.flagWarnings()...)
	warnings = append(warnings, s.portWarnings(out)...)
	warnings = append(warnings, processWarnings(out, cfg)...)
	if equality.Semantic.DeepEqual(pod, out) {
		return Result{Pod: pod, Reason: AlreadyInjected, Warnings: warnings}, nil
	}
	return Result{Pod: out, Reason: Injected, Warnings: warnings}, nil
}

// processWarnings tells of containers that can look into the sidecar's process.
func processWarnings(pod *corev1.Pod, cfg Config) []string {
	if shared := pod.Spec.ShareProcessNamespace; shared == nil || !*shared {
		return nil
	}
	user := "as the same user as the sidecar"
	if cfg.RunAsUser != nil {
		user = fmt.Sprintf("as user %d or 0", *cfg.RunAsUser)
	}
	return []string{"spec.shareProcessNamespace: is true, so a container that runs " + user + " can read the sidecar's keys and token"}
}

// addSecrets returns list and the names that are not in it yet.
func addSecrets(list []corev1.LocalObjectReference, names []string) []corev1.LocalObjectReference {
	for _, name := range names {
		if !slices.Contains(list, corev1.LocalObjectReference{Name: name}) {
			list = append(list, corev1.LocalObjectReference{Name: name})
		}
	}
	return list
}

// mark sets the annotation and the labels of an injected pod.
func (s *settings) mark(pod *corev1.Pod, version string) {
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[v1alpha1.AnnotationInjected] = version
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[v1alpha1.LabelInjected] = "true"
	delete(pod.Labels, v1alpha1.LabelServes)
	if serves := s.serves(); serves != "" {
		pod.Labels[v1alpha1.LabelServes] = serves
	}
}

// serves is v1alpha1.LabelServes; "" if the pod is to have none.
func (s *settings) serves() string {
	if s.capture != Ports {
		return ""
	}
	var ports []int32
	for _, p := range s.ports {
		ports = append(ports, p.Listen)
	}
	slices.Sort(ports)
	label := strings.ReplaceAll(strings.Trim(fmt.Sprint(ports), "[]"), " ", ".")
	if len(label) > validation.LabelValueMaxLength {
		return ""
	}
	return label
}
