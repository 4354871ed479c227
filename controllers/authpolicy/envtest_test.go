package authpolicy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/authpolicy"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/hack/apiserver"
)

// api is a real API server.
type api struct {
	config  *rest.Config
	client  client.Client
	clients *kubernetes.Clientset
	scheme  *runtime.Scheme
}

// shared is the API server of all tests, started by the first that needs it; fuzzing needs none.
var shared struct {
	once sync.Once
	env  *envtest.Environment
	api  *api
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.env != nil {
		_ = shared.env.Stop() // the tests have had their say
	}
	os.Exit(code)
}

// apiServer returns the API server. Without its binaries the test is skipped, but fails where CI=true.
func apiServer(t *testing.T) *api {
	t.Helper()
	assets := apiserver.Assets(t)
	shared.once.Do(func() {
		shared.env = &envtest.Environment{
			BinaryAssetsDirectory: assets, CRDDirectoryPaths: []string{"../../config/crd"}, ErrorIfCRDPathMissing: true,
		}
		var conf *rest.Config
		if conf, shared.err = shared.env.Start(); shared.err == nil {
			shared.api, shared.err = newAPI(conf)
		}
	})
	if shared.err != nil {
		t.Fatalf("start the API server: %v", shared.err)
	}
	return shared.api
}

func newAPI(conf *rest.Config) (*api, error) {
	a := &api{config: conf, scheme: runtime.NewScheme()}
	err := errors.Join(clientgoscheme.AddToScheme(a.scheme), v1alpha1.AddToScheme(a.scheme))
	if err != nil {
		return nil, err
	}
	if a.client, err = client.New(conf, client.Options{Scheme: a.scheme}); err != nil {
		return nil, err
	}
	if a.clients, err = kubernetes.NewForConfig(conf); err != nil {
		return nil, err
	}
	// So that replicas that are not to lead do not.
	holder, hours, now := "nobody", int32(36000), metav1.NowMicro()
	return a, a.client.Create(context.Background(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "held"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &hours, AcquireTime: &now, RenewTime: &now},
	})
}

// namespace makes a namespace with the service account that its pods have.
func (a *api) namespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	a.create(t, ns)
	a.create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "default"}})
	return ns.Name
}

func (a *api) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := a.client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// update writes an object as it is here, whatever somebody else, such as who writes its status, has made of it meanwhile.
func (a *api) update(t *testing.T, o client.Object) {
	t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		now := o.DeepCopyObject().(client.Object)
		if err := a.client.Get(t.Context(), client.ObjectKeyFromObject(o), now); err != nil {
			return err
		}
		o.SetResourceVersion(now.GetResourceVersion())
		return a.client.Update(t.Context(), o)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// listed is what kubectl get prints of a resource: the columns but Age, then a row for each object.
func (a *api) listed(t *testing.T, namespace, resource string) string {
	t.Helper()
	raw, err := a.clients.Discovery().RESTClient().Get().AbsPath("/apis/bearerguard.dev/v1alpha1/namespaces", namespace, resource).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Raw()
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatal(err)
	}
	lines := make([][]string, len(table.Rows)+1)
	for i, c := range table.ColumnDefinitions {
		if c.Priority > 0 || c.Name == "Age" {
			continue
		}
		lines[0] = append(lines[0], c.Name)
		for j, row := range table.Rows {
			lines[j+1] = append(lines[j+1], fmt.Sprint(row.Cells[i]))
		}
	}
	var out []string
	for _, l := range lines {
		out = append(out, strings.Join(l, " "))
	}
	return strings.Join(out, "; ")
}

func (a *api) pod(t *testing.T, namespace, name string, annotations map[string]string) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{"app": "orders"}, Annotations: annotations,
		},
		Spec: corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "app", Image: "app.local/app:1"}}},
	}
	a.create(t, p)
	return p
}

// token asks for a token that is bound to a pod, as the kubelet does.
func (a *api) token(t *testing.T, p *corev1.Pod, audience string) string {
	t.Helper()
	r, err := a.clients.CoreV1().ServiceAccounts(p.Namespace).CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{
			Audiences:      []string{audience},
			BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.Name, UID: p.UID},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Status.Token
}

// until waits for an object to be as wanted.
func until[T client.Object](t *testing.T, a *api, o T, what string, ok func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		err := a.client.Get(ctx, client.ObjectKeyFromObject(o), o)
		if err == nil && ok(o) {
			return o
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("%s: still %+v (%v)", what, o, err)
		}
	}
}

// has reports whether a condition of a policy speaks of its generation and is so.
func has(p *v1alpha1.AuthPolicy, kind, status, reason string) bool {
	c := meta.FindStatusCondition(p.Status.Conditions, kind)
	return c != nil && string(c.Status) == status && c.Reason == reason && c.ObservedGeneration == p.Generation
}

// revoked is the same for a revocation.
func revocationIs(r *v1alpha1.TokenRevocation, kind, status, reason string) bool {
	c := meta.FindStatusCondition(r.Status.Conditions, kind)
	return c != nil && string(c.Status) == status && c.Reason == reason && c.ObservedGeneration == r.Generation
}

// replica is one replica of the control plane, without webhooks.
type replica struct {
	address string
	server  *push.Server
	keys    *keys.Resolver
	metrics *authpolicy.Metrics
	conf    *tls.Config
	reviews *countedReviews
}

// countedReviews count the TokenReviews that the API server is asked for.
type countedReviews struct {
	push.TokenReviews
	made atomic.Int32
}

func (c *countedReviews) Create(ctx context.Context, r *authenticationv1.TokenReview, o metav1.CreateOptions) (*authenticationv1.TokenReview, error) {
	c.made.Add(1)
	return c.TokenReviews.Create(ctx, r, o)
}

type leaderAt string

func (l leaderAt) Address(context.Context) (string, error) { return string(l), nil }

// startReplica starts a replica; one with a leader's address does not lead, and reports to that one.
func startReplica(t *testing.T, a *api, cert tls.Certificate, leader string) *replica {
	t.Helper()
	return startMember(t, a, cert, leader, &authpolicy.Members{}, nil)
}

// startMember is startReplica for a part of the cluster; newClient makes the client that writes statuses. nil: as usual.
func startMember(t *testing.T, a *api, cert tls.Certificate, leader string, members *authpolicy.Members, newClient client.NewClientFunc) *replica {
	t.Helper()
	r := &replica{metrics: authpolicy.NewMetrics(), conf: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}}
	mgr, err := manager.New(a.config, manager.Options{
		Scheme: a.scheme, Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"}, NewClient: newClient,
		LeaderElection: leader != "", LeaderElectionID: "held", LeaderElectionNamespace: "default",
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	live, triggers := &authpolicy.Live{}, authpolicy.NewTriggers()
	r.reviews = &countedReviews{TokenReviews: a.clients.AuthenticationV1().TokenReviews()}
	watcher, err := client.NewWithWatch(a.config, client.Options{Scheme: a.scheme})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := keys.New(keys.Options{
		Reader: mgr.GetAPIReader(), Watcher: watcher, Cluster: keys.Cluster(a.clients.Discovery().RESTClient()),
		Changed: triggers.Keys.Add, Poll: time.Hour, // what is named is watched
	})
	if err != nil {
		t.Fatal(err)
	}
	r.keys = resolver
	r.server, err = push.New(push.Config{
		Serves: members.Serves,
		Reviewer: &push.LocalReviewer{
			Keys: keys.Cluster(a.clients.Discovery().RESTClient()), Live: live, Else: push.NewTokenReviewer(r.reviews),
		},
		Changed: triggers.Sidecars.Add, UnknownKey: resolver.Refetch, Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := authpolicy.Options{
		Keys: resolver, Push: r.server, Triggers: triggers, Live: live, Metrics: r.metrics, Members: members, NetworkPolicies: true,
	}
	if err := authpolicy.Setup(mgr, o); err != nil {
		t.Fatal(err)
	}
	lis, err := push.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = lis.Addr().String()
	peers := push.Peers{Own: func() (*tls.Certificate, error) { return &cert, nil }}
	jobs := []func(context.Context) error{
		mgr.Start, resolver.Run, func(ctx context.Context) error { return r.server.Serve(ctx, lis, r.conf, peers) },
	}
	if leader != "" {
		reporter := &push.Reporter{Server: r.server, Leader: leaderAt(leader), Replica: r.address, Peers: peers}
		jobs = append(jobs, reporter.Run)
	}
	runAll(t, jobs)
	return r
}

func runAll(t *testing.T, jobs []func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, len(jobs))
	for _, job := range jobs {
		go func() { done <- job(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range jobs {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"push.test"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// stream is a sidecar's end.
type stream struct {
	set *revoked.Set // what it was given
	t   *testing.T
	pushv1.Push_StreamClient
}

func (r *replica) connect(t *testing.T, token string) *stream {
	t.Helper()
	return r.connectUntil(t.Context(), t, token)
}

// connectUntil is connect for as long as a context lasts.
func (r *replica) connectUntil(ctx context.Context, t *testing.T, token string) *stream {
	t.Helper()
	leaf, err := x509.ParseCertificate(r.conf.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	conn, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(credentials.NewTLS(
		&tls.Config{RootCAs: roots, ServerName: "push.test", MinVersion: tls.VersionTLS13})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	rpc, err := pushv1.NewPushClient(conn).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = rpc.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{}}}) // Recv says what went wrong
	return &stream{t: t, Push_StreamClient: rpc}
}

// next receives bundles until one is as wanted, and acknowledges it.
func (s *stream) next(ok func(*bundle.Bundle) bool) {
	s.t.Helper()
	version := s.peek(ok)
	_ = s.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Version: version}}})
}

// revoke takes in revocations; false: there are none. They come in one message.
func (s *stream) revoke(m *pushv1.Revocations) bool {
	s.t.Helper()
	if m == nil {
		return false
	}
	a := revoked.NewApplier(nil)
	if len(m.GetBase()) > 0 {
		a = revoked.NewApplier(s.set)
	}
	err := a.Take(revoked.Chunk{Added: m.GetAdded(), Removed: m.GetRemoved()})
	if err == nil {
		s.set, err = a.Finish(revoked.Version(m.GetVersion()), nil)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return true
}

// nextRevoked waits for revocations with so many entries, and acknowledges them.
func (s *stream) nextRevoked(entries int) {
	s.t.Helper()
	version := s.peekRevoked(entries)
	_ = s.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Revocations: version[:]}}})
}

// peekRevoked is nextRevoked without the acknowledgement.
func (s *stream) peekRevoked(entries int) revoked.Version {
	s.t.Helper()
	for s.set.Len() != entries {
		m, err := s.Recv()
		if err != nil {
			s.t.Fatal(err)
		}
		s.revoke(m.GetRevocations())
	}
	return s.set.Version()
}

// peek is next without the acknowledgement.
func (s *stream) peek(ok func(*bundle.Bundle) bool) (version string) {
	s.t.Helper()
	for {
		m, err := s.Recv()
		if err != nil {
			s.t.Fatal(err)
		}
		if s.revoke(m.GetRevocations()) {
			continue
		}
		b, err := bundle.Decode(m.GetBundle())
		if err != nil {
			s.t.Fatal(err)
		}
		if ok(b) {
			return m.GetVersion()
		}
	}
}
