package upgrade

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

const formerPath = "/metadata/annotations/bearerguard.dev~1former-image"

// Swap is the patch that gives a pod's sidecar an image, and notes the one that it had. It fails if the pod has changed meanwhile in
// what counts.
func Swap(p *corev1.Pod, image string) ([]byte, error) {
	s := sidecarOf(p)
	if s == nil {
		return nil, fmt.Errorf("pod %s has no sidecar any more", p.Name)
	}
	ops := images(p, image)
	if p.Annotations == nil {
		ops = append(ops, operation{Op: "add", Path: "/metadata/annotations", Value: map[string]string{}})
	}
	return json.Marshal(append(ops, operation{Op: "add", Path: formerPath, Value: s.Image}))
}

// GoBack is the patch that gives a pod's sidecar the image that it had before Swap.
func GoBack(p *corev1.Pod) ([]byte, error) {
	former := p.Annotations[v1alpha1.AnnotationFormerImage]
	if sidecarOf(p) == nil || former == "" {
		return nil, fmt.Errorf("pod %s does not say which image its sidecar had: the annotation %s is gone", p.Name, v1alpha1.AnnotationFormerImage)
	}
	return json.Marshal(append(images(p, former), operation{Op: "remove", Path: formerPath}))
}

// Done is the patch that takes the note away and says of which release the sidecar is; empty: as before.
func Done(p *corev1.Pod, release string) ([]byte, error) {
	ops := []operation{{Op: "test", Path: "/metadata/uid", Value: p.UID}, {Op: "remove", Path: formerPath}}
	if mark, ok := p.Annotations[v1alpha1.AnnotationInjected]; ok && release != "" {
		if _, revision, of := strings.Cut(mark, "@"); of {
			release += "@" + revision
		}
		ops = append(ops, operation{Op: "replace", Path: "/metadata/annotations/bearerguard.dev~1injected", Value: release})
	}
	return json.Marshal(ops)
}

// images changes the image of the sidecar, and of the container that has set up its capture: that one has ended, and runs again
// only if the whole pod is set up anew.
func images(p *corev1.Pod, image string) []operation {
	ops := []operation{{Op: "test", Path: "/metadata/uid", Value: p.UID}}
	for i, c := range p.Spec.InitContainers {
		if c.Name == inject.SidecarName || c.Name == inject.CaptureName {
			at := fmt.Sprintf("/spec/initContainers/%d/", i)
			ops = append(ops, operation{Op: "test", Path: at + "name", Value: c.Name}, operation{Op: "test", Path: at + "image", Value: c.Image},
				operation{Op: "replace", Path: at + "image", Value: image})
		}
	}
	return ops
}

// Outcome is what has become of a pod since Swap.
type Outcome int

// The outcomes.
const (
	// Pending is still on its way.
	Pending Outcome = iota
	// Runs has the new sidecar ready, and the whole pod.
	Runs
	// Fails will not become ready by waiting.
	Fails
)

// Before is what is remembered of a pod from before Swap.
type Before struct {
	// Container is the sidecar's, which is on its way out; empty where it is not known.
	Container string
	// Restarts are those of the app's containers.
	Restarts map[string]int32
}

// Remember makes a Before.
func Remember(p *corev1.Pod) Before {
	b := Before{Container: statusOf(p).ContainerID, Restarts: map[string]int32{}}
	for _, s := range p.Status.ContainerStatuses {
		b.Restarts[s.Name] = s.RestartCount
	}
	return b
}

// Restarted names a container of the app that has restarted since; empty: none has.
func (b Before) Restarted(p *corev1.Pod) string {
	for _, s := range p.Status.ContainerStatuses {
		if s.RestartCount > b.Restarts[s.Name] {
			return s.Name
		}
	}
	return ""
}

// dead are the reasons of a waiting container that another try will not mend soon.
var dead = []string{
	"CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull", "ErrImagePull", "ImageInspectError",
	"ImagePullBackOff", "InvalidImageName", "RunContainerError", "SignatureValidationFailed",
}

// Judge tells what has become of a pod, and of one that fails, why.
func (b Before) Judge(p *corev1.Pod) (Outcome, string) {
	s := statusOf(p)
	switch w, t := s.State.Waiting, s.State.Terminated; {
	case w != nil && slices.Contains(dead, w.Reason):
		return Fails, said(w.Reason, w.Message)
	case t != nil && s.ContainerID != b.Container:
		return Fails, said(fmt.Sprintf("the new sidecar ended with code %d", t.ExitCode), t.Message)
	case s.State.Running != nil && s.Ready && s.ContainerID != b.Container && Ready(p):
		return Runs, ""
	}
	return Pending, ""
}

// Waits says what a pod that is pending waits for.
func (b Before) Waits(p *corev1.Pod) string {
	s := statusOf(p)
	switch {
	case s.ContainerID == b.Container && s.State.Running != nil:
		return "the sidecar that it has finishes its requests"
	case s.State.Running == nil:
		return "the new sidecar starts"
	case !s.Ready:
		return "the new sidecar is not ready"
	}
	return "the pod is not ready"
}

func said(reason, message string) string {
	if message = strings.TrimSpace(message); message == "" {
		return reason
	}
	const most = 300
	return reason + ": " + printable.Text(message[:min(len(message), most)], math.MaxInt)
}

func statusOf(p *corev1.Pod) corev1.ContainerStatus {
	for _, s := range p.Status.InitContainerStatuses {
		if s.Name == inject.SidecarName {
			return s
		}
	}
	return corev1.ContainerStatus{}
}

// usualWait is what clients get to go elsewhere where the sidecar does not say.
const usualWait = 5 * time.Second

// DrainWait is how long a pod's clients get to go elsewhere: the sidecar's --drain-wait, where it has one.
func DrainWait(p *corev1.Pod) time.Duration {
	s := sidecarOf(p)
	if s == nil {
		return usualWait
	}
	if i := slices.Index(s.Args, "--drain-wait"); i >= 0 && i+1 < len(s.Args) {
		if d, err := time.ParseDuration(s.Args[i+1]); err == nil && d > 0 {
			return d
		}
	}
	return usualWait
}

// Patience is for how long a pod's sidecar may be away before the kubelet restarts a container of the app whose liveness probe the sidecar
// passes on, and that container; 0: any time.
func Patience(p *corev1.Pod) (least time.Duration, container string) {
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		l := c.LivenessProbe
		if l == nil || l.HTTPGet == nil || l.HTTPGet.Port.IntVal != inject.AdminPort {
			continue
		}
		// One probe less than what is too many fits in, however they fall.
		d := time.Duration(max(l.FailureThreshold-1, 0)) * time.Duration(max(l.PeriodSeconds, 1)) * time.Second
		if container == "" || d < least {
			least, container = d, c.Name
		}
	}
	return least, container
}

func labelsOf(p *corev1.Pod) labels.Set { return labels.Set(p.Labels) }
