package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/inplace"
	"github.com/bearerguard/bearerguard/sidecar/aside"
)

const badImage = "registry.example/bearerguard:none"

// upgradable makes a pod whose sidecar a stand-in for a kubelet restarts when its image changes; but it has no badImage.
func upgradable(t *testing.T, namespace, name string) {
	t.Helper()
	key := client.ObjectKey{Namespace: namespace, Name: name}
	sidecar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(aside.Header) == "" || r.URL.Path != aside.Path {
			http.Error(w, "not so", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodGet {
			setStatus(t, key, func(p *corev1.Pod) { ready(p, r.Method == http.MethodDelete) })
		}
		_ = json.NewEncoder(w).Encode(aside.Report{Release: "2.0.0", Ready: true, Current: true})
	}))
	t.Cleanup(sidecar.Close)
	pod := newPod(t, namespace, name, "orders", strings.TrimPrefix(sidecar.URL, "http://"))
	setStatus(t, key, func(p *corev1.Pod) {
		p.Status.InitContainerStatuses[0].ContainerID = "c://0"
		ready(p, true)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		image, restarts := pod.Spec.InitContainers[0].Image, 0
		for ctx.Err() == nil {
			var p corev1.Pod
			if live.client.Get(ctx, key, &p) == nil && p.Spec.InitContainers[0].Image != image {
				image = p.Spec.InitContainers[0].Image
				restarts++
				setStatus(t, key, func(p *corev1.Pod) {
					s := &p.Status.InitContainerStatuses[0]
					if image == badImage {
						s.Ready, s.State = false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}}
					} else {
						s.ContainerID, s.Ready, s.State = fmt.Sprint("c://", restarts), true, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
					}
					ready(p, image != badImage)
				})
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
}

// tryOut stands in for the kubelet of trials.
func tryOut(t *testing.T, namespace string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			var list corev1.PodList
			_ = live.client.List(ctx, &list, client.InNamespace(namespace))
			for i := range list.Items {
				p := &list.Items[i]
				if !strings.HasPrefix(p.Name, "bearerguard-trial-") || len(p.Status.ContainerStatuses) > 0 {
					continue
				}
				s := corev1.ContainerStatus{Name: p.Spec.Containers[0].Name}
				if p.Spec.Containers[0].Image == badImage {
					s.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}
				} else {
					s.State.Terminated = &corev1.ContainerStateTerminated{}
				}
				p.Status.ContainerStatuses = []corev1.ContainerStatus{s}
				_ = live.client.Status().Update(ctx, p) // else next time
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
}

func ready(p *corev1.Pod, is bool) {
	status := corev1.ConditionFalse
	if is {
		status = corev1.ConditionTrue
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
}

func setStatus(t *testing.T, key client.ObjectKey, change func(*corev1.Pod)) {
	t.Helper()
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var p corev1.Pod
		if err := live.client.Get(t.Context(), key, &p); err != nil {
			return err
		}
		change(&p)
		return live.client.Status().Update(t.Context(), &p)
	}); err != nil {
		t.Error(err)
	}
}

// imagesOf returns the images of the sidecars of pods, and what their annotations say.
func imagesOf(t *testing.T, namespace string) string {
	t.Helper()
	var list corev1.PodList
	if err := live.client.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range list.Items {
		if len(p.Spec.InitContainers) == 0 {
			t.Errorf("pod %s is left", p.Name)
			continue
		}
		all = append(all, p.Spec.InitContainers[0].Image+" "+p.Annotations[v1alpha1.AnnotationInjected]+p.Annotations[v1alpha1.AnnotationFormerImage])
	}
	return strings.Join(all, ", ")
}

func TestUpgradeSidecars(t *testing.T) {
	t.Parallel()
	atCluster(t)
	namespace := newNamespace(t)
	upgradable(t, namespace, "orders-0")
	upgradable(t, namespace, "orders-1")
	tryOut(t, namespace)
	upgrade := func(args ...string) (string, error) {
		return atLive(t, append([]string{"upgrade-sidecars", "-n", namespace}, args...)...)
	}
	const next = "registry.example/bearerguard:2"
	want := func(what, out string, err error, code int, parts ...string) {
		t.Helper()
		if exit.Code(err) != code {
			t.Errorf("%s: exit code %d (%v), want %d\n%s", what, exit.Code(err), err, code, out)
		}
		if err != nil {
			out += err.Error()
		}
		for _, part := range parts {
			if !strings.Contains(out, part) {
				t.Errorf("%s: it does not say %q:\n%s", what, part, out)
			}
		}
	}
	out, err := upgrade()
	want("without a controller", out, err, 1, "get no sidecar", "say --image")
	out, err = upgrade("--image", next, "--dry-run")
	want("a dry run", out, err, 0, "orders-0", "due", "0 of 2 sidecars have "+next)
	if got := imagesOf(t, namespace); got != "bearerguard 0.1.0, bearerguard 0.1.0" {
		t.Errorf("after a dry run: %s", got)
	}
	out, err = upgrade("orders-1", "--image", next, "-o", "json")
	want("one pod", out, err, 0, `"name": "orders-1"`, `"outcome": "upgraded"`)
	out, err = upgrade("--image", badImage)
	want("an image that there is not", out, err, 1, "failed", "does not work on node", "ErrImagePull: not found; it runs as before")
	out, err = upgrade("--image", badImage, "--no-trial")
	want("an image that there is not, without a trial", out, err, 1, "went back", "ErrImagePull: not found", "0 of 2", "stopped: pod orders-0")
	if got := imagesOf(t, namespace); got != "bearerguard 0.1.0, "+next+" 2.0.0" {
		t.Errorf("after it went back: %s", got)
	}
	out, err = upgrade("--image", next)
	want("all", out, err, 0, "2 of 2 sidecars have "+next)
	out, err = upgrade("--image", next)
	want("again", out, err, 0, "2 of 2 sidecars have "+next)
	if got := imagesOf(t, namespace); got != next+" 2.0.0, "+next+" 2.0.0" {
		t.Errorf("at the end: %s", got)
	}
}

// Of two upgrades of a namespace the second does not begin; a lease that nobody renews is taken over.
func TestOneUpgradeAtATime(t *testing.T) {
	t.Parallel()
	atCluster(t)
	namespace := newNamespace(t)
	newPod(t, namespace, "orders-0", "orders", "127.0.0.1:1")
	now := metav1.NowMicro()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: inplace.LeaseName},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("alice@laptop/1"), RenewTime: &now},
	}
	create(t, lease)
	if _, err := atLive(t, "upgrade-sidecars", "-n", namespace, "--image", "x"); err == nil || !strings.Contains(err.Error(), "by alice@laptop/1") {
		t.Errorf("while another runs: %v", err)
	}
	before := metav1.NewMicroTime(now.Add(-2 * time.Minute))
	lease.Spec.RenewTime = &before
	if err := live.client.Update(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	out, err := atLive(t, "upgrade-sidecars", "-n", namespace, "--image", "x")
	if exit.Code(err) != 2 || !strings.Contains(out, "unready") {
		t.Errorf("after it was killed: %v\n%s", err, out)
	}
	if err := live.client.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); err != nil || *lease.Spec.HolderIdentity != "" {
		t.Errorf("the lease is not given back: %v, %v", err, lease.Spec.HolderIdentity)
	}
}
