package authpolicy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// The tests run one after the other: each has replicas of its own, which serve every namespace.

const hmac = "0123456789abcdef0123456789abcdef"

func newPolicy(namespace string) *v1alpha1.AuthPolicy {
	return &v1alpha1.AuthPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "orders"},
		Spec: v1alpha1.AuthPolicySpec{
			Selector: policy.Selector{MatchLabels: map[string]string{"app": "orders"}},
			Spec: policy.Spec{
				Issuers: []policy.Issuer{{
					Name: "corp", Issuer: "https://login.example.com", Audiences: []string{"orders"},
					Algorithms: []policy.Algorithm{"HS256"},
					Keys:       policy.KeySource{SecretRef: &policy.KeyRef{Name: "corp", Key: "hmac"}},
				}},
				Rules: []policy.Rule{{Name: "read", Allow: &policy.Allow{Authenticated: true}}},
			},
		},
	}
}

func newSecret(namespace string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "corp"}, Data: map[string][]byte{"hmac": []byte(hmac)},
	}
}

// with reports whether a bundle has the policy at a generation, with its keys.
func with(generation int64) func(*bundle.Bundle) bool {
	return func(b *bundle.Bundle) bool {
		return len(b.Policies) == 1 && b.Policies[0].Generation == generation && len(b.KeySets) == 1
	}
}

func TestFromApplyToAcknowledged(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	cert := newCertificate(t)
	leader := startReplica(t, a, cert, "")
	other := startReplica(t, a, cert, leader.address)
	injected := map[string]string{v1alpha1.AnnotationInjected: "dev"}
	pods := []*corev1.Pod{a.pod(t, ns, "a", injected), a.pod(t, ns, "b", injected)}
	a.pod(t, ns, "bare", nil)
	a.create(t, newSecret(ns))
	p := newPolicy(ns)
	a.create(t, p)

	first, second := leader.connect(t, a.token(t, pods[0], push.Audience)), other.connect(t, a.token(t, pods[1], push.Audience))
	first.next(with(1))
	held := second.peek(with(1))
	until(t, a, p, "one of two is current", func(p *v1alpha1.AuthPolicy) bool {
		s := p.Status.Sidecars
		return has(p, "Accepted", "True", "Accepted") && has(p, "ResolvedRefs", "True", "Resolved") && s != nil &&
			has(p, "Programmed", "False", "Pending") && s.Summary == "1/3" && s.Missing == 1
	})
	_ = second.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Version: held}}})
	until(t, a, p, "both are current, one of them at the other replica", func(p *v1alpha1.AuthPolicy) bool {
		return has(p, "Programmed", "True", "Programmed") && p.Status.Sidecars.Summary == "2/3" &&
			has(p, "Guarded", "False", "Unguarded") && has(p, "Ready", "False", "Unguarded")
	})
	if n := testutil.CollectAndCount(leader.metrics, "bearerguard_unguarded_pods"); n == 0 {
		t.Error("no metric tells of pods that run bare")
	}
	untilEvent(t, a, ns, v1alpha1.ReasonUnguarded, "1 of 3 selected pods runs without a sidecar, so nothing guards them: bare")
	if i := p.Status.Issuers; len(i) != 1 || i[0].Keys != 1 || i[0].LastFetched == nil || i[0].Message != "" {
		t.Errorf("issuers %+v", i)
	}

	p.Spec.Rules[0].Allow.Scopes = []string{"orders.read"}
	edited := time.Now()
	if err := a.client.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	first.next(with(2))
	if d := time.Since(edited); d > 5*time.Second { // well under a second on a quiet machine
		t.Errorf("an edit took %s to get to a sidecar", d)
	}
	version := second.peek(with(2))
	_ = second.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Nack{Nack: &pushv1.Nack{Version: version, Reason: "too new for me"}}})
	until(t, a, p, "one refuses", func(p *v1alpha1.AuthPolicy) bool {
		s := p.Status.Sidecars
		return has(p, "Programmed", "False", "Rejected") && s.Current == 1 && s.Rejecting == 1
	})
	untilEvent(t, a, ns, v1alpha1.ReasonRejected, "too new for me")
}

func TestASidecarThatIsOutOfTouchIsNotCountedAsCurrent(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	cert := newCertificate(t)
	leader := startReplica(t, a, cert, "")
	other := startReplica(t, a, cert, leader.address)
	injected := map[string]string{v1alpha1.AnnotationInjected: "dev"}
	a.create(t, newSecret(ns))
	p := newPolicy(ns)
	a.create(t, p)
	until(t, a, p, "there is no pod yet", func(p *v1alpha1.AuthPolicy) bool {
		return has(p, "Programmed", "True", "NoWorkload") && has(p, "Guarded", "Unknown", "NoWorkload") && has(p, "Ready", "True", "NoWorkload")
	})
	pods := []*corev1.Pod{a.pod(t, ns, "a", injected), a.pod(t, ns, "b", injected)}
	until(t, a, p, "both are starting", func(p *v1alpha1.AuthPolicy) bool {
		return has(p, "Programmed", "False", "Pending") && p.Status.Sidecars.Summary == "0/2"
	})
	leader.connect(t, a.token(t, pods[0], push.Audience)).next(with(1))
	ctx, cut := context.WithCancel(t.Context())
	other.connectUntil(ctx, t, a.token(t, pods[1], push.Audience)).next(with(1))
	until(t, a, p, "both are current", func(p *v1alpha1.AuthPolicy) bool {
		return has(p, "Ready", "True", "Ready") && p.Status.Sidecars.Summary == "2/2"
	})
	cut()
	until(t, a, p, "one is out of touch", func(p *v1alpha1.AuthPolicy) bool {
		s := p.Status.Sidecars
		return has(p, "Programmed", "Unknown", "Disconnected") && has(p, "Ready", "Unknown", "Disconnected") && s.Summary == "1/2" && s.Disconnected == 1
	})
	if got, want := a.listed(t, ns, "authpolicies"), "Name Mode Ready Keys Sidecars Missing; orders Enforce Unknown True 1/2 0"; got != want {
		t.Errorf("kubectl get prints %q, want %q", got, want)
	}
	untilEvent(t, a, ns, v1alpha1.ReasonDisconnected, "so it is not known what is enforced there: b")
	leader.connect(t, a.token(t, pods[1], push.Audience)).next(with(1))
	until(t, a, p, "and back, at another replica", func(p *v1alpha1.AuthPolicy) bool {
		return has(p, "Ready", "True", "Ready") && p.Status.Sidecars.Summary == "2/2" && p.Status.Sidecars.Disconnected == 0
	})
}

func TestABrokenSecretKeepsItsLastGoodKeys(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	r := startReplica(t, a, newCertificate(t), "")
	pod := a.pod(t, ns, "a", nil)
	secret := newSecret(ns)
	a.create(t, secret)
	p := newPolicy(ns)
	a.create(t, p)
	s := r.connect(t, a.token(t, pod, push.Audience))
	s.next(with(1))
	until(t, a, p, "ready", func(p *v1alpha1.AuthPolicy) bool { return has(p, "Ready", "True", "Ready") })

	secret.Data["hmac"] = []byte("short")
	if err := a.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	until(t, a, p, "the status says so", func(p *v1alpha1.AuthPolicy) bool {
		return has(p, "ResolvedRefs", "False", "KeySourceFailed") && p.Status.Issuers[0].Keys == 1
	})
	untilEvent(t, a, ns, v1alpha1.ReasonKeySourceFailed, "corp")

	secret.Data["hmac"] = []byte(strings.ToUpper(hmac))
	if err := a.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	s.next(with(1)) // the next bundle that there is has the new key: none was sent for the broken one
	until(t, a, p, "mended", func(p *v1alpha1.AuthPolicy) bool { return has(p, "Ready", "True", "Ready") })
}

func TestRevocationsArePushed(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	r := startReplica(t, a, newCertificate(t), "")
	pod := a.pod(t, ns, "a", nil)
	s := r.connect(t, a.token(t, pod, push.Audience))
	s.next(func(b *bundle.Bundle) bool { return len(b.Policies) == 0 }) // nothing selects it: it refuses, and knows that it must
	o := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "r"},
		Spec: policy.Revocation{Issuer: "https://login.example.com", Entries: []policy.RevocationEntry{
			{JTI: "stolen"}, {JTI: "over", ExpiresAt: &policy.Time{Time: time.Now().Add(-time.Hour)}},
		}},
	}
	a.create(t, o)
	s.nextRevoked(1)
	if err := a.client.Delete(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s.nextRevoked(0)
}

func TestARevocationSaysWhenEverySidecarUsesIt(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	cert := newCertificate(t)
	leader := startReplica(t, a, cert, "")
	other := startReplica(t, a, cert, leader.address)
	injected := map[string]string{v1alpha1.AnnotationInjected: "dev"}
	pods := []*corev1.Pod{a.pod(t, ns, "a", injected), a.pod(t, ns, "b", injected)}
	a.pod(t, ns, "bare", nil) // is not meant
	first := leader.connect(t, a.token(t, pods[0], push.Audience))
	ctx, cut := context.WithCancel(t.Context())
	second := other.connectUntil(ctx, t, a.token(t, pods[1], push.Audience))
	r := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "r"},
		Spec:       policy.Revocation{Issuer: "https://login.example.com", Entries: []policy.RevocationEntry{{JTI: "stolen"}}},
	}
	a.create(t, r)
	first.nextRevoked(1)
	version := second.peekRevoked(1)
	until(t, a, r, "one of two uses it", func(r *v1alpha1.TokenRevocation) bool {
		s := r.Status.Sidecars
		return r.Status.Entries == 1 && revocationIs(r, "Accepted", "True", "Accepted") && revocationIs(r, "Programmed", "False", "Pending") &&
			s.Summary == "1/2" && s.Missing == 0
	})
	_ = second.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Revocations: version[:]}}})
	until(t, a, r, "both use it, one of them at the other replica", func(r *v1alpha1.TokenRevocation) bool {
		return revocationIs(r, "Programmed", "True", "Programmed") && r.Status.Sidecars.Summary == "2/2"
	})

	r.Spec.Entries = append(r.Spec.Entries, policy.RevocationEntry{Subject: "mallory", Reason: "left"})
	a.update(t, r)
	second.nextRevoked(2)
	until(t, a, r, "one uses the new generation", func(r *v1alpha1.TokenRevocation) bool {
		return r.Status.Entries == 2 && revocationIs(r, "Programmed", "False", "Pending") && r.Status.Sidecars.Summary == "1/2"
	})
	first.nextRevoked(2)
	until(t, a, r, "both do", func(r *v1alpha1.TokenRevocation) bool { return revocationIs(r, "Programmed", "True", "Programmed") })
	r.Spec.Entries[1].Reason = "was dismissed" // no sidecar is told of it, and each has it
	a.update(t, r)
	until(t, a, r, "still", func(r *v1alpha1.TokenRevocation) bool {
		return r.Status.ObservedGeneration == 3 && revocationIs(r, "Programmed", "True", "Programmed")
	})

	cut()
	until(t, a, r, "one is out of touch", func(r *v1alpha1.TokenRevocation) bool {
		return revocationIs(r, "Programmed", "Unknown", "Disconnected") && r.Status.Sidecars.Disconnected == 1
	})
	want := "Name Issuer Entries Programmed Sidecars; r https://login.example.com 2 Unknown 1/2"
	if got := a.listed(t, ns, "tokenrevocations"); got != want {
		t.Errorf("kubectl get prints %q, want %q", got, want)
	}
}

func TestAPolicyThatPassedTheAPIServerButDoesNotCompile(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	r := startReplica(t, a, newCertificate(t), "")
	pod := a.pod(t, ns, "a", nil)
	p := newPolicy(ns)
	p.Spec.Rules = append(p.Spec.Rules, policy.Rule{Name: "never", Deny: &policy.Conditions{When: "claims.x.y ==="}})
	a.create(t, p)
	until(t, a, p, "refused", func(p *v1alpha1.AuthPolicy) bool {
		return has(p, "Accepted", "False", "Invalid") && has(p, "Programmed", "False", "Invalid")
	})
	r.connect(t, a.token(t, pod, push.Audience)).next(func(b *bundle.Bundle) bool {
		return len(b.Policies) == 1 && len(b.Policies[0].Spec.Rules) == 1 && b.Policies[0].Spec.Rules[0].Deny != nil
	})
	untilEvent(t, a, ns, v1alpha1.ReasonInvalid, "spec.rules[1].deny.when")
}

func TestAnObjectThatOnlyTheAPIServerUnderstandsStopsNothing(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	startReplica(t, a, newCertificate(t), "")
	odd := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"selector": map[string]any{"matchLabels": map[string]any{"app": "other"}},
		"issuers": []any{map[string]any{
			"name": "corp", "issuer": "https://login.example.com", "anyAudience": true,
			"keys": map[string]any{"jwks": "{}"}, "maxAge": "9999999h9999999h", // more than a duration can hold
		}},
	}}}
	odd.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AuthPolicy"))
	odd.SetNamespace(ns)
	odd.SetName("odd")
	if err := a.client.Create(t.Context(), odd); err != nil {
		t.Skipf("the API server does not take it: %v", err)
	}
	t.Cleanup(func() { _ = a.client.Delete(t.Context(), odd) })
	p := newPolicy(ns)
	a.create(t, newSecret(ns))
	a.create(t, p)
	until(t, a, p, "ready beside the odd one", func(p *v1alpha1.AuthPolicy) bool { return has(p, "Ready", "True", "NoWorkload") })
}

func TestRealTokensOfOthersAreRefused(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	r := startReplica(t, a, newCertificate(t), "")
	pod := a.pod(t, ns, "a", nil)
	gone := a.pod(t, ns, "gone", nil)
	ofGone := a.token(t, gone, push.Audience)
	now := int64(0)
	if err := a.client.Delete(t.Context(), gone, &client.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	again := a.pod(t, ns, "gone", nil) // under the same name, and with another UID
	for name, token := range map[string]string{
		"for the API server": a.token(t, pod, "https://kubernetes.default.svc"), "of a pod that is gone": ofGone,
	} {
		r.refuses(t, name, token)
	}
	r.connect(t, a.token(t, again, push.Audience)).next(func(*bundle.Bundle) bool { return true })
	s := r.connect(t, a.token(t, pod, push.Audience))
	s.next(func(*bundle.Bundle) bool { return true })
	if err := a.client.Delete(t.Context(), pod, &client.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); status.Code(err) != codes.NotFound {
		t.Errorf("the stream of a deleted pod: %v, want it ended", err)
	}
}

// refuses connects until the token is refused; until the cache knows that a pod is gone, its stream may begin and end.
func (r *replica) refuses(t *testing.T, name, token string) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; {
		_, err := r.connect(t, token).Recv()
		if status.Code(err) == codes.Unauthenticated {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("a token %s: %v, want it refused", name, err)
		}
	}
}

// Whoever is in the cache is known by the cluster's own keys: no review is asked for.
func TestRealTokensCostTheAPIServerNothing(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	r := startReplica(t, a, newCertificate(t), "")
	var pods []*corev1.Pod
	for _, name := range []string{"a", "b", "c"} {
		pod := a.pod(t, ns, name, nil)
		r.connect(t, a.token(t, pod, push.Audience)).next(func(*bundle.Bundle) bool { return true })
		pods = append(pods, pod)
	}
	before := r.reviews.made.Load() // a cache that is behind may have asked
	for range 5 {
		for _, pod := range pods {
			r.connect(t, a.token(t, pod, push.Audience)).next(func(*bundle.Bundle) bool { return true })
		}
	}
	if n := r.reviews.made.Load() - before; n != 0 {
		t.Errorf("%d TokenReviews for 15 new tokens of known pods, want none", n)
	}
}

func untilEvent(t *testing.T, a *api, namespace, reason, says string) {
	t.Helper()
	late := time.Now().Add(30 * time.Second)
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for range look.C {
		var l eventsv1.EventList
		if err := a.client.List(t.Context(), &l, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Items {
			if e.Reason == reason && strings.Contains(e.Note, says) {
				return
			}
		}
		if time.Now().After(late) {
			t.Fatalf("no event %s with %q among %d", reason, says, len(l.Items))
		}
	}
}
