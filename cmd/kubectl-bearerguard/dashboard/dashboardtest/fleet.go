// Package dashboardtest is a fleet for tests of the dashboard: several workloads with what can be wrong with them, and sidecars that
// refuse some requests. It stands for a cluster, and asks none.
package dashboardtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/sidecar/explain"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// Fault is what keeps a fleet from being read.
type Fault string

const (
	// None lets all be read.
	None Fault = ""
	// Forbidden lets policies and pods be read, and no sidecar be asked.
	Forbidden Fault = "forbidden"
	// ForbiddenAll lets nothing be read.
	ForbiddenAll Fault = "forbidden-all"
	// ForbiddenPolicies lets pods be read, and no policies.
	ForbiddenPolicies Fault = "forbidden-policies"
	// Unreachable is a cluster that refuses connections.
	Unreachable Fault = "unreachable"
	// Hangs is a cluster that never answers.
	Hangs Fault = "hangs"
)

// Fleet is a made cluster.
type Fleet struct {
	Now      func() time.Time
	AllPods  []corev1.Pod
	AllAuths []v1alpha1.AuthPolicy
	// Refused has the requests that a pod's sidecar remembers, by "namespace/name".
	Refused map[string][]admin.Request
	fault   atomic.Value
	// Asked counts questions to sidecars, Lists those for lists, AtOnce is how many sidecars were asked at the same time at most.
	Asked, Lists, AtOnce atomic.Int64
	running              atomic.Int64
}

var _ dashboard.Source = (*Fleet)(nil)

// Break has a fault begin, or end.
func (f *Fleet) Break(fault Fault) { f.fault.Store(fault) }

func (f *Fleet) broken(ctx context.Context, resource string) error {
	switch fault, _ := f.fault.Load().(Fault); {
	case fault == ForbiddenAll, fault == ForbiddenPolicies && resource == "authpolicies.bearerguard.dev", fault == Forbidden && resource == "pods/portforward":
		return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", fmt.Errorf("user %q cannot do it in namespace %q", "dana", "shop"))
	case fault == Unreachable:
		return errors.New(`Get "https://10.0.0.1:6443/api": dial tcp 10.0.0.1:6443: connect: connection refused`) //nolint:staticcheck // as net/http says it
	case fault == Hangs:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// Policies returns them.
func (f *Fleet) Policies(ctx context.Context) ([]v1alpha1.AuthPolicy, error) {
	f.Lists.Add(1)
	return f.AllAuths, f.broken(ctx, "authpolicies.bearerguard.dev")
}

// Pods returns them.
func (f *Fleet) Pods(ctx context.Context) ([]corev1.Pod, error) {
	f.Lists.Add(1)
	return f.AllPods, f.broken(ctx, "pods")
}

func (f *Fleet) enter(ctx context.Context) (leave func(), err error) {
	f.Asked.Add(1)
	n := f.running.Add(1)
	for most := f.AtOnce.Load(); n > most && !f.AtOnce.CompareAndSwap(most, n); most = f.AtOnce.Load() {
	}
	return func() { f.running.Add(-1) }, f.broken(ctx, "pods/portforward")
}

// Refusals returns those of a pod.
func (f *Fleet) Refusals(ctx context.Context, pod *corev1.Pod, most int) ([]admin.Request, error) {
	leave, err := f.enter(ctx)
	defer leave()
	all := f.Refused[pod.Namespace+"/"+pod.Name]
	return all[:min(len(all), most)], err
}

// Requests returns those with an id.
func (f *Fleet) Requests(ctx context.Context, pod *corev1.Pod, id string) (out []admin.Request, err error) {
	leave, err := f.enter(ctx)
	defer leave()
	for _, r := range f.Refused[pod.Namespace+"/"+pod.Name] {
		if r.RequestID == id {
			r.Namespace, r.Pod = pod.Namespace, pod.Name
			out = append(out, r)
		}
	}
	return out, err
}

// Keys returns two keys of each issuer.
func (f *Fleet) Keys(ctx context.Context, pod *corev1.Pod) (fleet.HeldKeys, error) {
	leave, err := f.enter(ctx)
	defer leave()
	out := fleet.HeldKeys{Pod: pod.Name, Snapshot: "f3a1"}
	for i := range f.AllAuths {
		p := &f.AllAuths[i]
		for _, is := range p.Spec.Issuers {
			if p.Namespace != pod.Namespace || !p.Spec.Selector.Matches(pod.Labels) {
				continue
			}
			out.Issuers = append(out.Issuers, fleet.HeldIssuer{Policy: p.Namespace + "/" + p.Name, Issuer: is.Name, Keys: []keyset.Description{
				{KeyID: "2026-11", Type: "EC", Curve: "P-256", Algorithm: "ES256", Use: "sig", Thumbprint: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
				{KeyID: "2026-10", Type: "RSA", Bits: 2048, Algorithm: "RS256", Use: "sig", Thumbprint: "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"},
			}, Fetch: &fetch.Report{Fetched: f.Now().Add(-4 * time.Minute), Next: f.Now().Add(11 * time.Minute)}})
		}
	}
	return out, err
}

// Fetches returns none.
func (f *Fleet) Fetches(context.Context) map[string]fetch.Report { return nil }

// Explain judges a request without a token, by the policies that select the pod.
func (f *Fleet) Explain(ctx context.Context, pod *corev1.Pod, q *explain.Question) (admin.Explanation, error) {
	leave, err := f.enter(ctx)
	defer leave()
	e := admin.Explanation{Namespace: pod.Namespace, Pod: pod.Name, Snapshot: "f3a1c09b77d2e5", Built: f.Now().Add(-3 * time.Hour)}
	if err != nil {
		return e, fmt.Errorf("pod %s: %w", pod.Name, err)
	}
	in := check.Input{Namespace: pod.Namespace, Method: q.Method, Target: q.Target, Host: q.Host, Header: q.Header, Port: q.Port, Remote: q.Remote, Now: f.Now()}
	for i := range f.AllAuths {
		if p := &f.AllAuths[i]; p.Namespace == pod.Namespace && p.Spec.Selector.Matches(pod.Labels) {
			text, err := dashboard.PolicyYAML(p)
			if err != nil {
				return e, err
			}
			in.Files = append(in.Files, manifest.File{Name: p.Name, Data: []byte(text)})
		}
	}
	e.Report, err = check.Run(in)
	return e, err
}

// always is how native sidecars restart.
var always = corev1.ContainerRestartPolicyAlways

// workload is a deployment to be made.
type workload struct {
	namespace, name string
	pods            int
	bare, unready   int
	release         string
	older           string // release of the last pod
	plain           bool   // without sidecars
}

func (f *Fleet) add(w workload) {
	for i := range w.pods {
		name := fmt.Sprintf("%s-6f8b9c7d5-%s", w.name, suffix(w.namespace+w.name, i))
		p := corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.namespace, Name: name, UID: types.UID(w.namespace + "/" + name), Labels: map[string]string{"app": w.name, "pod-template-hash": "6f8b9c7d5"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: w.name + "-6f8b9c7d5", Controller: new(true)}},
			},
			Spec:   corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}},
			Status: corev1.PodStatus{Phase: corev1.PodRunning},
		}
		if i >= w.bare && !w.plain {
			release := w.release
			if w.older != "" && i == w.pods-1 {
				release = w.older
			}
			p.Annotations = map[string]string{v1alpha1.AnnotationInjected: release}
			p.Spec.InitContainers = []corev1.Container{{Name: inject.SidecarName, Image: "bearerguard", RestartPolicy: &always}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{
				Name: inject.SidecarName, Ready: i >= w.bare+w.unready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}}
		}
		f.AllPods = append(f.AllPods, p)
	}
}

// suffix is a pod's, the same each time.
func suffix(seed string, i int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	n := uint32(i*7919 + 17)
	for _, c := range seed {
		n = n*31 + uint32(c)
	}
	var b [5]byte
	for j := range b {
		b[j] = letters[n%uint32(len(letters))]
		n = n/3 + 0x9e37*uint32(j+1)
	}
	return string(b[:])
}

// guard is a policy to be made.
type guard struct {
	namespace, app string
	mode           policy.Mode
	issuers        []issuer
	sidecars       v1alpha1.SidecarStatus
	wrong          []metav1.Condition
	behind         bool
}

type issuer struct {
	name, url string
	state     v1alpha1.KeyState
	age       time.Duration
	message   string
	without   int32
}

func (f *Fleet) guard(g guard) {
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(f.Now().Add(-d)) }
	p := v1alpha1.AuthPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.namespace, Name: g.app, Generation: 4},
		Spec: v1alpha1.AuthPolicySpec{Selector: policy.Selector{MatchLabels: map[string]string{"app": g.app}}, Spec: policy.Spec{Mode: g.mode, Rules: []policy.Rule{
			{Name: "health", Match: []policy.Match{{Paths: []string{"/healthz"}}}, Allow: &policy.Allow{Anonymous: true}},
			{Name: "read", Match: []policy.Match{{Methods: []string{"GET"}, Paths: []string{"/" + g.app + "/**"}}}, Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{g.app + ".read"}}}},
			{Name: "write", Match: []policy.Match{{Methods: []string{"POST", "PUT"}, Paths: []string{"/" + g.app + "/**"}}}, Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{g.app + ".write"}}}},
		}}},
		Status: v1alpha1.AuthPolicyStatus{ObservedGeneration: 4, Sidecars: &g.sidecars},
	}
	if g.behind {
		p.Generation = 5
	}
	for _, is := range g.issuers {
		p.Spec.Issuers = append(p.Spec.Issuers, policy.Issuer{Name: is.name, Issuer: is.url, Audiences: []string{g.app}, Keys: policy.KeySource{Discovery: &policy.Discovery{}}})
		s := v1alpha1.IssuerStatus{Name: is.name, State: is.state, Message: is.message, PodsWithoutKeys: is.without}
		if is.state != v1alpha1.KeysMissing {
			at := ago(is.age)
			s.Keys, s.LastFetched = 2, &at
		}
		p.Status.Issuers = append(p.Status.Issuers, s)
	}
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, LastTransitionTime: ago(50 * time.Hour)}
	for _, c := range []metav1.Condition{
		{Type: v1alpha1.ConditionAccepted, Reason: v1alpha1.ReasonAccepted, Message: "the policy is valid"},
		{Type: v1alpha1.ConditionResolvedRefs, Reason: v1alpha1.ReasonResolved, Message: "all key sources are read"},
		{Type: v1alpha1.ConditionProgrammed, Reason: v1alpha1.ReasonProgrammed, Message: "all sidecars use this generation"},
		{Type: v1alpha1.ConditionGuarded, Reason: v1alpha1.ReasonGuarded, Message: "all selected pods have a sidecar"},
		{Type: v1alpha1.ConditionSaved, Reason: v1alpha1.ReasonSaved, Message: "what sidecars use is on disk"},
	} {
		c.Status, c.LastTransitionTime = metav1.ConditionTrue, ago(50*time.Hour)
		for _, w := range g.wrong {
			if w.Type == c.Type {
				c = w
				c.LastTransitionTime = ago(12 * time.Minute)
				if ready.Status == metav1.ConditionTrue {
					ready.Status, ready.Reason, ready.LastTransitionTime = c.Status, c.Reason, c.LastTransitionTime
				}
			}
		}
		p.Status.Conditions = append(p.Status.Conditions, c)
	}
	p.Status.Conditions = append(p.Status.Conditions, ready)
	f.AllAuths = append(f.AllAuths, p)
}
