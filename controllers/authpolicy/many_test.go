package authpolicy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// shelf answers as the cache does, with one namespace.
type shelf struct {
	client.Reader
	policies []policyObject
	pods     []metav1.PartialObjectMetadata
	asked    func() // is called for each list of policies; nil: nothing
}

func (s *shelf) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	switch l := into.(type) {
	case *policyObjects:
		if s.asked != nil {
			s.asked()
		}
		l.Items = slices.Clone(s.policies)
	case *metav1.PartialObjectMetadataList:
		l.Items = slices.Clone(s.pods)
	}
	return nil
}

func (s *shelf) Get(ctx context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	switch o := into.(type) {
	case *corev1.Secret:
		if key.Name == "hangs" {
			<-ctx.Done()
			return ctx.Err()
		}
		o.Data = map[string][]byte{"hmac": []byte("0123456789abcdef0123456789abcdef")}
		return nil
	case *metav1.PartialObjectMetadata:
		for i := range s.pods {
			if s.pods[i].Name == key.Name {
				*o = s.pods[i]
				return nil
			}
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

// policy puts a policy on the shelf, in the place of the one of that name.
func (s *shelf) policy(name, app string, turn int) {
	spec := fmt.Sprintf(`{"selector":{"matchLabels":{"app":%q}},"issuers":[{"name":"corp","issuer":"https://login.example.com","audiences":["orders"],
		"algorithms":["HS256"],"keys":{"secretRef":{"name":"corp","key":"hmac"}}}],"rules":[
		{"name":"rule-0","match":[{"paths":["/edit-%d/{id}/**"],"methods":["GET","POST"]}],"allow":{"scopes":["part-0.read"]}},
		{"name":"rule-1","match":[{"paths":["/part-1/{id}/**"],"methods":["GET","POST"]}],"allow":{"scopes":["part-1.read"]}}]}`, app, turn)
	o := policyObject{Spec: json.RawMessage(spec)}
	o.Namespace, o.Name, o.UID, o.Generation = "shop", name, types.UID(name), int64(turn+1)
	o.ResourceVersion = fmt.Sprint(turn)
	o.CreationTimestamp = metav1.NewTime(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	i := slices.IndexFunc(s.policies, func(p policyObject) bool { return p.Name == name })
	if i < 0 {
		s.policies = append(s.policies, o)
		return
	}
	s.policies[i] = o
}

// pod puts a pod on the shelf.
func (s *shelf) pod(name, app string) {
	var p metav1.PartialObjectMetadata
	p.Namespace, p.Name, p.UID = "shop", name, types.UID(name)
	p.Labels = map[string]string{"app": app, "pod-template-hash": "5d8f7c9b6d", "bearerguard.dev/injected": "true"}
	s.pods = append(s.pods, p)
}

// nobody is a Reviewer that knows nobody.
type nobody struct{}

func (nobody) Review(context.Context, string) (push.Identity, error) {
	return push.Identity{}, push.ErrRefused
}

// newCompiler returns a compiler that reads from a shelf.
func newCompiler(t testing.TB, s *shelf) *compiler {
	t.Helper()
	server, err := push.New(push.Config{Reviewer: nobody{}})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := keys.New(keys.Options{Reader: s, Cluster: func(context.Context) (string, []byte, error) {
		return "", nil, errors.New("there is no cluster")
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	trigger := &Trigger{}
	r := &revoker{reader: s, push: server, status: trigger, now: time.Now}
	return &compiler{reader: s, keys: resolver, push: server, status: trigger, revoke: r, cell: &Members{}, metrics: NewMetrics(), now: time.Now, spaces: map[string]*space{}}
}

// many is a namespace of 5,000 policies, each of which selects a workload of its own, and some pods.
func many(pods int, app func(int) string) *shelf {
	s := &shelf{}
	for i := range 5000 {
		s.policies = append(s.policies, policyObject{})
		s.policies[i].Name = fmt.Sprint("p", i)
		s.policy(s.policies[i].Name, fmt.Sprint("app-", i), 0)
	}
	for i := range pods {
		s.pod(fmt.Sprint("w", i), app(i))
	}
	return s
}

// reconcileOnce compiles the namespace, without its rest, once its keys are there.
func reconcileOnce(t testing.TB, c *compiler) {
	t.Helper()
	for {
		c.space("shop").pace = pace{}
		r, err := c.Reconcile(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		if r.RequeueAfter == 0 {
			return
		}
		runtime.Gosched()
	}
}

// processor reports, at the end of a benchmark, the processor time of an operation, which other load changes little.
func processor(b *testing.B) func() {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began := used()
	return func() { b.ReportMetric(float64(used()-began)/float64(b.N), "cpu-ns/op") }
}

// One edit among 5,000 policies of a namespace, 100 pods.
func BenchmarkOneEditOfFiveThousand(b *testing.B) {
	s := many(100, func(i int) string { return fmt.Sprint("app-", i) })
	c := newCompiler(b, s)
	reconcileOnce(b, c)
	turn := 0
	defer processor(b)()
	for b.Loop() {
		turn++
		s.policy("p0", "app-0", turn)
		reconcileOnce(b, c)
	}
}

// A pod that comes with labels that another has, among 1,000 pods and 5,000 policies.
func BenchmarkAPodWithKnownLabels(b *testing.B) {
	s := many(1000, func(i int) string { return fmt.Sprint("app-", i%100) })
	c := newCompiler(b, s)
	reconcileOnce(b, c)
	turn := 0
	defer processor(b)()
	for b.Loop() {
		turn++
		s.pods = s.pods[:1000]
		s.pod(fmt.Sprint("guest", turn), "app-7")
		reconcileOnce(b, c)
	}
}
