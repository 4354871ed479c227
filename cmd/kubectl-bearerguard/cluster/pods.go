package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

// Target is the form of the argument that names pods, for help texts.
const Target = "POD | TYPE/NAME"

// Pods returns the pods that a target names: "orders-0", "pod/orders-0", "deploy/orders", "sts/orders", "ds/orders", "rs/orders" or
// "job/orders", in the order of their names. Without a target they are all pods of the namespace, or of the cluster.
func Pods(ctx context.Context, c client.Client, namespace, target string) ([]corev1.Pod, error) {
	kind, name, typed := strings.Cut(target, "/")
	if !typed {
		kind, name = "pod", target
	}
	selector := labels.Everything()
	if target != "" {
		if kind == "pod" || kind == "pods" || kind == "po" {
			return onePod(ctx, c, namespace, name)
		}
		var err error
		if selector, err = selectorOf(ctx, c, namespace, kind, name); err != nil {
			return nil, err
		}
	}
	var list corev1.PodList
	if err := c.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

func onePod(ctx context.Context, c client.Client, namespace, name string) ([]corev1.Pod, error) {
	var pod corev1.Pod
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &pod)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no pod %s in namespace %s; a workload is named as deploy/%s", name, namespace, name)
	}
	return []corev1.Pod{pod}, err
}

// selectorOf returns the selector of a workload's pods.
func selectorOf(ctx context.Context, c client.Client, namespace, kind, name string) (labels.Selector, error) {
	var o client.Object
	var selector func() *metav1.LabelSelector
	switch kind {
	case "deploy", "deployment", "deployments", "deployment.apps":
		d := &appsv1.Deployment{}
		o, selector = d, func() *metav1.LabelSelector { return d.Spec.Selector }
	case "sts", "statefulset", "statefulsets":
		s := &appsv1.StatefulSet{}
		o, selector = s, func() *metav1.LabelSelector { return s.Spec.Selector }
	case "ds", "daemonset", "daemonsets":
		d := &appsv1.DaemonSet{}
		o, selector = d, func() *metav1.LabelSelector { return d.Spec.Selector }
	case "rs", "replicaset", "replicasets":
		r := &appsv1.ReplicaSet{}
		o, selector = r, func() *metav1.LabelSelector { return r.Spec.Selector }
	case "job", "jobs":
		j := &batchv1.Job{}
		o, selector = j, func() *metav1.LabelSelector { return j.Spec.Selector }
	default:
		return nil, fmt.Errorf("%q is no type of workload; want deploy/NAME, sts/NAME, ds/NAME, rs/NAME, job/NAME or the name of a pod", kind)
	}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("there is no %s %s in namespace %s", kind, name, namespace)
		}
		return nil, err
	}
	return metav1.LabelSelectorAsSelector(selector())
}

// Guarded returns those pods whose sidecar runs, the ready ones first.
func Guarded(pods []corev1.Pod) []corev1.Pod {
	var ready, rest []corev1.Pod
	for _, p := range pods {
		switch running, is := SidecarOf(&p); {
		case !running:
		case is:
			ready = append(ready, p)
		default:
			rest = append(rest, p)
		}
	}
	return append(ready, rest...)
}

// SidecarOf reports whether a pod's sidecar runs, and is ready.
func SidecarOf(p *corev1.Pod) (running, ready bool) {
	for _, all := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, s := range all {
			if s.Name == inject.SidecarName {
				return s.State.Running != nil, s.Ready
			}
		}
	}
	return false, false
}

// HasSidecar reports whether a pod is to have a sidecar.
func HasSidecar(p *corev1.Pod) bool {
	for _, all := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range all {
			if all[i].Name == inject.SidecarName {
				return true
			}
		}
	}
	return false
}

// AppPort is the first port that a pod's app says it listens on; 0 if it says none.
func AppPort(p *corev1.Pod) int {
	for i := range p.Spec.Containers {
		if p.Spec.Containers[i].Name == inject.SidecarName {
			continue
		}
		for _, port := range p.Spec.Containers[i].Ports {
			return int(port.ContainerPort)
		}
	}
	return 0
}

// SystemNamespace is where the controller is installed if nobody says otherwise.
const SystemNamespace = "bearerguard-system"

// Controllers returns the controller's pods, those that are ready first: of the whole cluster, or for who may not list these, of
// SystemNamespace.
func Controllers(ctx context.Context, c client.Client) ([]corev1.Pod, error) {
	labels := client.MatchingLabels{"app.kubernetes.io/name": "bearerguard", "app.kubernetes.io/component": "controller"}
	var list corev1.PodList
	err := c.List(ctx, &list, labels)
	if apierrors.IsForbidden(err) {
		err = c.List(ctx, &list, labels, client.InNamespace(SystemNamespace))
	}
	if err != nil {
		return nil, fmt.Errorf("list the controller's pods: %w", err)
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Pod) int {
		return cmp.Or(-cmp.Compare(readiness(&a), readiness(&b)), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

// Ready reports whether a pod has the condition Ready.
func Ready(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func readiness(p *corev1.Pod) int {
	if Ready(p) {
		return 1
	}
	return 0
}
