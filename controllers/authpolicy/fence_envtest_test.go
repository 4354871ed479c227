package authpolicy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// untilGone waits for an object to be deleted.
func untilGone(t *testing.T, a *api, o client.Object) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !apierrors.IsNotFound(a.client.Get(ctx, client.ObjectKeyFromObject(o), o)) {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("%s is still there", o.GetName())
		}
	}
}

// guardedSays reports whether the condition Guarded of a policy is so, and says something.
func guardedSays(status metav1.ConditionStatus, reason, part string) func(*v1alpha1.AuthPolicy) bool {
	return func(p *v1alpha1.AuthPolicy) bool {
		c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionGuarded)
		return c != nil && c.Status == status && c.Reason == reason && strings.Contains(c.Message, part) && c.ObservedGeneration == p.Generation
	}
}

func TestNetworkPoliciesCloseWhatIsOpenPastTheSidecar(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	a.create(t, newSecret(ns))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: "a", Annotations: by("dev"),
			Labels: map[string]string{"app": "orders", v1alpha1.LabelInjected: "true", v1alpha1.LabelServes: "8080"},
		},
		Spec: corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "app", Image: "app.local/app:1"}}},
	}
	a.create(t, pod)
	p := newPolicy(ns)
	a.create(t, p)
	s := startReplica(t, a, newCertificate(t), "").connect(t, a.token(t, pod, push.Audience))
	s.next(with(1))
	if err := s.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_State{State: &pushv1.State{OpenPorts: []*pushv1.OpenPort{{Port: 18080}}}}}); err != nil {
		t.Fatal(err)
	}
	until(t, a, p, "the app's port is open", guardedSays("False", "Bypassable", "pod a, port 18080"))

	p.Spec.NetworkPolicy = true
	a.update(t, p)
	own := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "orders-8080"}}
	until(t, a, own, "it is made", func(n *networkingv1.NetworkPolicy) bool { return metav1.IsControlledBy(n, p) })
	const closed = "closed by NetworkPolicies, if the cluster's network enforces them"
	until(t, a, p, "it closes the port", guardedSays("True", "Guarded", closed))

	own.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	a.update(t, own)
	until(t, a, own, "an edit is undone", func(n *networkingv1.NetworkPolicy) bool { return len(n.Spec.Ingress[0].Ports) == 2 })
	if err := a.client.Delete(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	until(t, a, own, "it is made again", func(n *networkingv1.NetworkPolicy) bool { return metav1.IsControlledBy(n, p) })
	until(t, a, p, "it closes the port again", guardedSays("True", "Guarded", closed))

	other := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "open"}}
	other.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
	a.create(t, other)
	untilGone(t, a, own)
	until(t, a, p, "another opens it", guardedSays("False", "Bypassable", "NetworkPolicy open lets others in there"))
	other.Spec.Ingress = nil
	a.update(t, other)
	until(t, a, p, "another closes it", guardedSays("True", "Guarded", closed+"; networkPolicy: none is made for ports 8080, since it would open what NetworkPolicy open closes on pod a"))
	if err := a.client.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	until(t, a, own, "it is made again", func(n *networkingv1.NetworkPolicy) bool { return metav1.IsControlledBy(n, p) })

	until(t, a, p, "it closes the port once more", guardedSays("True", "Guarded", closed))
	p.Spec.NetworkPolicy = false
	a.update(t, p)
	untilGone(t, a, own)
	until(t, a, p, "the app's port is open again", guardedSays("False", "Bypassable", "pod a, port 18080"))
}

func TestANetworkPolicyOfAUserIsNotTouched(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	a.create(t, newSecret(ns))
	users := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "orders-8080"}}
	users.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	users.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
	a.create(t, users)
	pod := a.pod(t, ns, "a", by("dev"))
	pod.Labels[v1alpha1.LabelServes] = "8080"
	a.update(t, pod)
	p := newPolicy(ns)
	p.Spec.NetworkPolicy = true
	a.create(t, p)
	startReplica(t, a, newCertificate(t), "")
	until(t, a, p, "it is told", guardedSays("True", "Guarded", "networkPolicy: NetworkPolicy orders-8080 is somebody else's"))
	var now networkingv1.NetworkPolicy
	if err := a.client.Get(t.Context(), client.ObjectKeyFromObject(users), &now); err != nil || now.ResourceVersion != users.ResourceVersion {
		t.Errorf("it was touched: %v, %v", now, err)
	}
}
