package upgrade

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// trialName is the container of a trial that has the image.
const trialName = "trial"

// Trial is a pod that tries an image on the node of a pod with a sidecar: whether it can be had there, runs, and takes the sidecar's flags. It
// asks for a sidecar of its own, as new pods get it, since a namespace may take no pod without one.
func Trial(like *corev1.Pod, image string) *corev1.Pod {
	s := sidecarOf(like)
	if s == nil {
		s = &corev1.Container{}
	}
	user, group := new(int64(65532)), new(int64(65532))
	if c := s.SecurityContext; c != nil {
		user, group = c.RunAsUser, c.RunAsGroup
	}
	args := s.Args
	if len(args) == 0 {
		args = []string{"run"}
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "bearerguard-trial-", Namespace: like.Namespace, Annotations: map[string]string{v1alpha1.AnnotationInject: "enabled"},
		},
		Spec: corev1.PodSpec{
			NodeName: like.Spec.NodeName, RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: like.Spec.ServiceAccountName,
			TerminationGracePeriodSeconds: like.Spec.TerminationGracePeriodSeconds, ImagePullSecrets: like.Spec.ImagePullSecrets,
			AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, // its node is given
			Containers: []corev1.Container{{
				Name: trialName, Image: image, ImagePullPolicy: cmp.Or(s.ImagePullPolicy, corev1.PullIfNotPresent),
				// The help comes once the flags before it were read.
				Command: []string{"/sidecar"}, Args: append(slices.Clone(args), "--help"),
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("8Mi")},
					Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("200m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
				},
				SecurityContext: &corev1.SecurityContext{
					RunAsNonRoot: new(true), RunAsUser: user, RunAsGroup: group, AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				},
			}},
		},
	}
	for name, value := range like.Annotations {
		if strings.HasPrefix(name, v1alpha1.Prefix) && name != v1alpha1.AnnotationInjected && name != v1alpha1.AnnotationFormerImage {
			p.Annotations[name] = value
		}
	}
	return p
}

// JudgeTrial tells what has become of a trial: Runs if it went well. Why says why it fails, or what it waits for.
func JudgeTrial(p *corev1.Pod) (o Outcome, why string) {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		switch w, t := s.State.Waiting, s.State.Terminated; {
		case w != nil && slices.Contains(dead, w.Reason):
			return Fails, "container " + s.Name + " of the trial: " + said(w.Reason, w.Message)
		case t != nil && t.ExitCode != 0 && s.Name == trialName:
			return Fails, "it does not take the flags that the sidecar has: " + said(t.Reason, t.Message)
		case t != nil && s.Name == trialName:
			return Runs, ""
		}
	}
	switch p.Status.Phase {
	case corev1.PodFailed:
		return Fails, said(p.Status.Reason, p.Status.Message)
	case corev1.PodSucceeded:
		return Runs, ""
	case corev1.PodPending, corev1.PodRunning, corev1.PodUnknown:
	}
	return Pending, "the trial has not begun"
}
