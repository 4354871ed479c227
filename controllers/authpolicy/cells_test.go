package authpolicy_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/authpolicy"
	"github.com/bearerguard/bearerguard/controllers/cell"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// release is the only replica of a release, and the namespaces in which it has written statuses.
type release struct {
	*replica

	mu    sync.Mutex
	wrote map[string]bool // guarded by mu
}

func startRelease(t *testing.T, a *api, revision, selector string) *release {
	t.Helper()
	c, err := cell.New(revision, selector)
	if err != nil {
		t.Fatal(err)
	}
	r := &release{wrote: map[string]bool{}}
	r.replica = startMember(t, a, newCertificate(t), "", &authpolicy.Members{Cell: c}, func(conf *rest.Config, o client.Options) (client.Client, error) {
		to, err := client.NewWithWatch(conf, o)
		if err != nil {
			return nil, err
		}
		return interceptor.NewClient(to, interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			r.mu.Lock()
			r.wrote[o.GetNamespace()] = true
			r.mu.Unlock()
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		}}), nil
	})
	return r
}

func (r *release) wroteIn(namespace string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wrote[namespace]
}

// refuses wants a stream to end with the word that the release does not serve the namespace.
func (r *release) refuses(t *testing.T, s *stream, want string) {
	t.Helper()
	for {
		_, err := s.Recv()
		if err == nil {
			continue
		}
		if x, _ := status.FromError(err); x.Code() != codes.FailedPrecondition || !strings.Contains(x.Message(), want) {
			t.Errorf("the stream ended with %v, want %s", err, want)
		}
		return
	}
}

// relabel sets the revision of a namespace; "": none.
func (a *api) relabel(t *testing.T, namespace, revision string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	value := `"` + revision + `"`
	if revision == "" {
		value = "null"
	}
	if err := a.client.Patch(t.Context(), ns, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"bearerguard.dev/revision":`+value+`}}}`))); err != nil {
		t.Fatal(err)
	}
}

func by(mark string) map[string]string { return map[string]string{v1alpha1.AnnotationInjected: mark} }

const ofDefault, ofBlue = "!bearerguard.dev/revision", "bearerguard.dev/revision=blue"

func TestTwoReleasesServeTheirOwnNamespaces(t *testing.T) {
	a := apiServer(t)
	home, away, nobodys := a.namespace(t), a.namespace(t), a.namespace(t)
	a.relabel(t, away, "blue")
	a.relabel(t, nobodys, "red")
	pods, policies := map[string]*corev1.Pod{}, map[string]*v1alpha1.AuthPolicy{}
	for ns, mark := range map[string]string{home: "dev", away: "dev@blue", nobodys: "dev@red"} {
		pods[ns], policies[ns] = a.pod(t, ns, "a", by(mark)), newPolicy(ns)
		a.create(t, newSecret(ns))
		a.create(t, policies[ns])
	}
	first, blue := startRelease(t, a, "", ofDefault), startRelease(t, a, "blue", ofBlue)
	for ns, r := range map[string]*release{home: first, away: blue} {
		r.connect(t, a.token(t, pods[ns], push.Audience)).next(with(1))
		until(t, a, policies[ns], "its own release says that it is ready", func(p *v1alpha1.AuthPolicy) bool { return has(p, "Ready", "True", "Ready") })
	}
	first.refuses(t, first.connect(t, a.token(t, pods[away], push.Audience)), "this release (the default one) does not serve namespace "+away+`; its label bearerguard.dev/revision says "blue"`)
	blue.refuses(t, blue.connect(t, a.token(t, pods[home], push.Audience)), "this release (revision blue) does not serve namespace "+home+"; its label bearerguard.dev/revision is missing")
	for _, r := range []*release{first, blue} {
		r.refuses(t, r.connect(t, a.token(t, pods[nobodys], push.Audience)), `says "red"`)
		if r.wroteIn(nobodys) || len(r.keys.States(nobodys)) > 0 {
			t.Error("a namespace of a revision that nobody has is served")
		}
	}
	if first.wroteIn(away) || blue.wroteIn(home) || !first.wroteIn(home) || !blue.wroteIn(away) {
		t.Errorf("statuses were written by others than the namespace's own release: in %s %v, in %s %v", home, blue.wroteIn(home), away, first.wroteIn(away))
	}
	if len(first.keys.States(away)) > 0 || len(blue.keys.States(home)) > 0 {
		t.Error("a release reads keys for namespaces of another")
	}
}

// While the pods of a namespace that moves are restarted, each is served by the release that injected it: none misses an edit or
// a revocation.
func TestPodsStayWithTheirReleaseUntilTheyAreRestarted(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	a.create(t, newSecret(ns))
	p := newPolicy(ns)
	a.create(t, p)
	first, blue := startRelease(t, a, "", ofDefault), startRelease(t, a, "blue", ofBlue)
	pod := a.pod(t, ns, "old", by("dev"))
	old := first.connect(t, a.token(t, pod, push.Audience))
	old.next(with(1))
	until(t, a, p, "ready", func(p *v1alpha1.AuthPolicy) bool { return has(p, "Ready", "True", "Ready") })

	a.relabel(t, ns, "blue")
	until(t, a, p, "the other release writes that a pod is not with it", func(p *v1alpha1.AuthPolicy) bool {
		c := meta.FindStatusCondition(p.Status.Conditions, "Programmed")
		return has(p, "Programmed", "Unknown", "Disconnected") && strings.HasSuffix(c.Message,
			"; injected by another release of the controller, which serves them until they are restarted: old")
	})
	p.Spec.Rules[0].Allow.Scopes = []string{"orders.read"}
	a.update(t, p)
	old.next(with(2))
	a.create(t, &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "r"},
		Spec:       policy.Revocation{Issuer: "https://login.example.com", Entries: []policy.RevocationEntry{{JTI: "stolen"}}},
	})
	old.nextRevoked(1)
	late := a.pod(t, ns, "new", by("dev@blue"))
	blue.connect(t, a.token(t, late, push.Audience)).next(with(2))
	again := first.connect(t, a.token(t, pod, push.Audience)) // its stream breaks, say: it comes back
	again.next(with(2))

	if err := a.client.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	first.refuses(t, again, "this release (the default one) does not serve namespace "+ns)
	until(t, a, p, "all are with the other release", func(p *v1alpha1.AuthPolicy) bool {
		return has(p, "Ready", "True", "Ready") && p.Status.Sidecars.Summary == "1/1"
	})
	first.refuses(t, first.connect(t, a.token(t, late, push.Audience)), "does not serve")
	if n := len(first.keys.States(ns)) + len(first.server.Sidecars(ns)); n > 0 {
		t.Errorf("the former release remembers %d keys and sidecars", n)
	}
}

// A sidecar that no release injected is nobody's to stay with.
func TestANamespaceThatLeavesIsForgotten(t *testing.T) {
	a := apiServer(t)
	ns := a.namespace(t)
	a.create(t, newSecret(ns))
	p := newPolicy(ns)
	a.create(t, p)
	first := startRelease(t, a, "", ofDefault)
	pod := a.pod(t, ns, "by-hand", nil)
	s := first.connect(t, a.token(t, pod, push.Audience))
	s.next(with(1))
	a.relabel(t, ns, "red")
	first.refuses(t, s, `says "red"`)
	a.relabel(t, ns, "")
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for { // it is refused until the release has heard of it
		s := first.connectUntil(deadline, t, a.token(t, pod, push.Audience))
		m, err := s.Recv()
		if err == nil && m != nil {
			break
		}
		if status.Code(err) != codes.FailedPrecondition {
			t.Fatal(err)
		}
	}
	first.connect(t, a.token(t, pod, push.Audience)).next(func(b *bundle.Bundle) bool { return len(b.Policies) == 1 })
}
