package push_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// clusterTokens answers TokenReviews as an API server does, for tokens that it knows.
type clusterTokens struct {
	mu      sync.Mutex
	known   map[string]authenticationv1.TokenReviewStatus
	reviews int
	down    bool
}

func (c *clusterTokens) Create(_ context.Context, r *authenticationv1.TokenReview, _ metav1.CreateOptions) (*authenticationv1.TokenReview, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reviews++
	if c.down {
		return nil, errors.New("connection refused")
	}
	r.Status = c.known[r.Spec.Token]
	return r, nil
}

// mint makes a token of a pod known; change makes it odd.
func (c *clusterTokens) mint(pod string, expires time.Time, change func(*authenticationv1.TokenReviewStatus)) string {
	payload := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d,"pod":%q}`, expires.Unix(), pod))
	token := "e30." + payload + ".c2ln"
	s := authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: []string{push.Audience},
		User: authenticationv1.UserInfo{
			Username: "system:serviceaccount:shop:default",
			Extra: map[string]authenticationv1.ExtraValue{
				"authentication.kubernetes.io/pod-name": {pod}, "authentication.kubernetes.io/pod-uid": {"uid-" + pod},
			},
		},
	}
	if change != nil {
		change(&s)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]authenticationv1.TokenReviewStatus{}
	}
	c.known[token] = s
	return token
}

// replica is a running server.
type replica struct {
	*push.Server
	address string
	tokens  *clusterTokens
	conf    *tls.Config
	peers   push.Peers
	known   atomic.Pointer[func([]*x509.Certificate) error] // nil: nobody is
	changed chan string
	unknown chan string
	stop    func()
}

// knows is the replica's Peers.Known.
func (r *replica) knows(chain []*x509.Certificate) error {
	if f := r.known.Load(); f != nil {
		return (*f)(chain)
	}
	return errors.New("nobody is known")
}

func startReplica(t *testing.T, cert tls.Certificate, change func(*push.Config)) *replica {
	t.Helper()
	r := &replica{
		tokens: &clusterTokens{}, changed: make(chan string, 1000), unknown: make(chan string, 10),
		conf: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13},
	}
	r.peers = push.Peers{Own: func() (*tls.Certificate, error) { return &cert, nil }, Known: r.knows}
	c := push.Config{
		Reviewer:   push.NewTokenReviewer(r.tokens),
		Changed:    func(ns string) { r.changed <- ns },
		UnknownKey: func(id string) { r.unknown <- id },
	}
	if change != nil {
		change(&c)
	}
	var err error
	if r.Server, err = push.New(c); err != nil {
		t.Fatal(err)
	}
	lis, err := push.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = lis.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, lis, r.conf, r.peers) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return r
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

// sidecar is the other end of a stream.
type sidecar struct {
	t   *testing.T
	rpc pushv1.Push_StreamClient
}

// connect opens a stream and says Hello.
func (r *replica) connect(t *testing.T, token, version string) *sidecar {
	t.Helper()
	s := r.connectMute(t, token)
	s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{Version: version}}})
	return s
}

func (s *sidecar) say(m *pushv1.ClientMessage) {
	_ = s.rpc.Send(m) // a stream that has ended says so at the next Recv
}

func (s *sidecar) ack(version string) {
	s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Version: version}}})
}

func (s *sidecar) nack(version, reason string) {
	s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Nack{Nack: &pushv1.Nack{Version: version, Reason: reason}}})
}

// expect receives one bundle.
func (s *sidecar) expect(b *compile.Bundle) {
	s.t.Helper()
	m, err := s.rpc.Recv()
	if err != nil {
		s.t.Fatalf("no bundle: %v", err)
	}
	if m.GetVersion() != b.Ref.Version || string(m.GetBundle()) != string(b.Encoded) {
		s.t.Fatalf("got version %s, want %s", m.GetVersion(), b.Ref.Version)
	}
}

// ends receives until the stream ends, and returns why.
func (s *sidecar) ends() error {
	for {
		if _, err := s.rpc.Recv(); err != nil {
			return err
		}
	}
}

func newBundle(version string, generation int64) *compile.Bundle {
	return &compile.Bundle{Encoded: []byte("bundle " + version), Ref: &compile.Ref{
		Version: version, Policies: []compile.PolicyRef{{Name: "orders", UID: "uid-orders", Generation: generation}},
	}}
}

// give makes bundles the newest of pods, by their names.
func (r *replica) give(bundles map[string]*compile.Bundle) {
	targets := map[string]push.Target{}
	for name, b := range bundles {
		targets["uid-"+name] = push.Target{Pod: name, Bundle: b}
	}
	r.Set("shop", targets)
}

// until waits until the state of a namespace's sidecars is as wanted.
func (r *replica) until(t *testing.T, what string, ok func(map[string]push.Sidecar) bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !ok(r.Sidecars("shop")) {
		select {
		case <-r.changed:
		case <-late:
			t.Fatalf("%s: still %+v", what, r.Sidecars("shop"))
		}
	}
}

func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }
