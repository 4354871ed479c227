package push_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/push/reportv1"
)

type fixedLeader string

func (l fixedLeader) Address(context.Context) (string, error) { return string(l), nil }

func TestTheLeaderHearsOfTheSidecarsOfOtherReplicas(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	leader, other := startReplica(t, cert, nil), startReplica(t, cert, nil)
	reporter := &push.Reporter{Server: other.Server, Leader: fixedLeader(leader.address), Replica: "other", Peers: other.peers}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reporter.Run(ctx) }()

	v1, v2 := newBundle("v1", 1), newBundle("v2", 2)
	other.give(map[string]*compile.Bundle{"a": v1})
	s := other.connect(t, other.tokens.mint("a", tomorrow(), nil), "")
	s.expect(v1)
	s.ack("v1")
	leader.until(t, "acked", func(m map[string]push.Sidecar) bool { return m["uid-a"].Acked.Has(v1.Ref.Policies[0]) })
	other.give(map[string]*compile.Bundle{"a": v2})
	s.expect(v2)
	s.nack("v2", "too new")
	leader.until(t, "refused", func(m map[string]push.Sidecar) bool {
		c := m["uid-a"]
		return c.Acked.Has(v1.Ref.Policies[0]) && c.Rejected.Has(v2.Ref.Policies[0]) && c.Reason == "too new"
	})
	anew := newBundle("v1", 1) // the same policy, deleted and created: what is in it makes the version
	anew.Ref.Policies[0].UID = "uid-anew"
	other.give(map[string]*compile.Bundle{"a": v1})
	s.expect(v1)
	s.ack("v1")
	leader.until(t, "the first one again", func(m map[string]push.Sidecar) bool { return m["uid-a"].Acked.Has(v1.Ref.Policies[0]) })
	other.give(map[string]*compile.Bundle{"a": anew})
	leader.until(t, "the same policy anew", func(m map[string]push.Sidecar) bool { return m["uid-a"].Acked.Has(anew.Ref.Policies[0]) })
	other.give(nil)
	leader.until(t, "gone", func(m map[string]push.Sidecar) bool { return len(m) == 0 })

	other.give(map[string]*compile.Bundle{"b": v1})
	other.connect(t, other.tokens.mint("b", tomorrow(), nil), "").expect(v1)
	leader.until(t, "another", func(m map[string]push.Sidecar) bool { return len(m) == 1 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	leader.until(t, "forgotten with its replica", func(m map[string]push.Sidecar) bool { return len(m) == 0 })
}

// A sidecar says which key sets it has no keys of, and the leader hears of it.
func TestTheLeaderHearsWhichKeysSidecarsLack(t *testing.T) {
	t.Parallel()
	const id = "url:https://idp.example/jwks"
	cert := newCertificate(t)
	leader, other := startReplica(t, cert, nil), startReplica(t, cert, nil)
	reporter := &push.Reporter{Server: other.Server, Leader: fixedLeader(leader.address), Replica: "other", Peers: other.peers}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reporter.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	result, err := compile.Compile(snapshotWithKeySet())
	if err != nil {
		t.Fatal(err)
	}
	other.give(map[string]*compile.Bundle{"a": result.Bundles["uid-a"]})
	s := other.connect(t, other.tokens.mint("a", tomorrow(), nil), "")
	s.expect(result.Bundles["uid-a"])
	say := func(sets ...*pushv1.HeldKeySet) {
		s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_State{State: &pushv1.State{KeySets: sets}}})
	}
	say(&pushv1.HeldKeySet{Id: id}, &pushv1.HeldKeySet{Id: "secret:other/stolen/k"}, &pushv1.HeldKeySet{Id: id})
	leader.until(t, "lacks", func(m map[string]push.Sidecar) bool { return m["uid-a"].Lacking == id && m["uid-a"].Lacks(id) })
	say(&pushv1.HeldKeySet{Id: id, Count: 2})
	leader.until(t, "has", func(m map[string]push.Sidecar) bool { return m["uid-a"].UID != "" && !m["uid-a"].Lacks(id) })
}

// TestSidecarsThatAreLost has a sidecar that leaves, here and at another replica, and one whose replica leaves.
func TestSidecarsThatAreLost(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	leader, other := startReplica(t, cert, nil), startReplica(t, cert, nil)
	reporter := &push.Reporter{Server: other.Server, Leader: fixedLeader(leader.address), Replica: "other", Peers: other.peers}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reporter.Run(ctx) }()
	v1 := newBundle("v1", 1)
	for _, r := range []*replica{leader, other} {
		r.give(map[string]*compile.Bundle{"a": v1, "b": v1, "c": v1, "never": v1})
	}
	connected := func(uid string) func(map[string]push.Sidecar) bool {
		return func(m map[string]push.Sidecar) bool {
			return m[uid].Lost.IsZero() && m[uid].Acked.Has(v1.Ref.Policies[0])
		}
	}
	lost := func(uid string, moved bool) func(map[string]push.Sidecar) bool {
		return func(m map[string]push.Sidecar) bool {
			c := m[uid]
			return !c.Lost.IsZero() && c.Moved == moved && c.Pod == strings.TrimPrefix(uid, "uid-") && c.Acked.Has(v1.Ref.Policies[0])
		}
	}
	open := func(r *replica, pod string) *sidecar {
		s := r.connect(t, r.tokens.mint(pod, tomorrow(), nil), "v1")
		leader.until(t, pod+" is connected", connected("uid-"+pod))
		return s
	}
	a, b := open(leader, "a"), open(other, "b")
	open(other, "c")
	_ = a.rpc.CloseSend()
	leader.until(t, "a is lost", lost("uid-a", false))
	_ = b.rpc.CloseSend()
	leader.until(t, "b is lost, at the other replica", lost("uid-b", false))
	open(leader, "b") // what is connected counts
	open(other, "a")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	leader.until(t, "c is lost with its replica", lost("uid-c", true))
	leader.until(t, "so is a", lost("uid-a", true))
	if !connected("uid-b")(leader.Sidecars("shop")) {
		t.Error("b is lost with a replica that it had left")
	}
	if _, ok := leader.Sidecars("shop")["uid-never"]; ok {
		t.Error("a sidecar that was never connected is known")
	}
	leader.give(nil)
	leader.until(t, "nothing is kept of pods that are gone", func(m map[string]push.Sidecar) bool { return len(m) == 0 })
}

// A key server may be asked by a replica that does not lead: the leader has to say in status that it fails.
func TestTheLeaderHearsWhichKeySourcesFailElsewhere(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	var mu sync.Mutex
	failing := map[string]string{"url:https://idp/keys": "is down"}
	leader, other := startReplica(t, cert, nil), startReplica(t, cert, func(c *push.Config) {
		c.Failing = func() map[string]string {
			mu.Lock()
			defer mu.Unlock()
			return maps.Clone(failing)
		}
	})
	reporter := &push.Reporter{Server: other.Server, Leader: fixedLeader(leader.address), Replica: "other", Peers: other.peers}
	go func() { _ = reporter.Run(t.Context()) }()
	eventually(t, "it fails", func() bool {
		err := leader.Failing()["url:https://idp/keys"]
		return err != nil && err.Error() == "is down"
	})
	mu.Lock()
	clear(failing)
	mu.Unlock()
	eventually(t, "it works again", func() bool { return len(leader.Failing()) == 0 })
}

func TestOnlyReplicasMayReport(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	stranger := newCertificate(t)
	for name, certs := range map[string][]tls.Certificate{
		"without a certificate": nil, "with another certificate": {stranger},
		"with the replicas' certificate, but not its key": {{
			Certificate: r.conf.Certificates[0].Certificate, PrivateKey: stranger.PrivateKey,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
				InsecureSkipVerify: true, Certificates: certs, //nolint:gosec // an attacker does not check
			})))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			rpc, err := reportv1.NewReportsClient(conn).Report(t.Context())
			if err == nil {
				_ = rpc.Send(&reportv1.Change{Replica: "evil", Sidecars: []*reportv1.Sidecar{{Namespace: "shop", Uid: "u"}}})
				_, err = rpc.CloseAndRecv()
			}
			if c := status.Code(err); c != codes.PermissionDenied && c != codes.Unavailable {
				t.Errorf("got %v, want a refusal", err)
			}
			if len(r.Sidecars("shop")) != 0 {
				t.Error("the report was believed")
			}
		})
	}
}

// While certificates rotate, replicas have different ones for a moment.
func TestReplicasKnowEachOtherByAuthority(t *testing.T) {
	t.Parallel()
	leader, other := startReplica(t, newCertificate(t), nil), startReplica(t, newCertificate(t), nil)
	both := func(chain []*x509.Certificate) error {
		for _, r := range []*replica{leader, other} {
			if bytes.Equal(chain[0].Raw, r.conf.Certificates[0].Certificate[0]) {
				return nil
			}
		}
		return errors.New("unknown")
	}
	leader.known.Store(&both)
	other.known.Store(&both)
	reporter := &push.Reporter{Server: other.Server, Leader: fixedLeader(leader.address), Replica: "other", Peers: other.peers}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reporter.Run(ctx) }()
	other.give(map[string]*compile.Bundle{"a": newBundle("v1", 1)})
	other.connect(t, other.tokens.mint("a", tomorrow(), nil), "")
	leader.until(t, "told", func(m map[string]push.Sidecar) bool { return len(m) == 1 })
	cancel()
	<-done
}

func TestAReplicaReportsToReplicasOnly(t *testing.T) {
	t.Parallel()
	impostor := startReplica(t, newCertificate(t), nil)
	other := startReplica(t, newCertificate(t), nil)
	reporter := &push.Reporter{Server: other.Server, Leader: fixedLeader(impostor.address), Replica: "other", Peers: other.peers}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reporter.Run(ctx) }()
	v1 := newBundle("v1", 1)
	other.give(map[string]*compile.Bundle{"a": v1})
	other.connect(t, other.tokens.mint("a", tomorrow(), nil), "").expect(v1)
	cancel()
	<-done
	if len(impostor.Sidecars("shop")) != 0 {
		t.Error("an impostor was told of sidecars")
	}
}

// connectMute opens a stream and says nothing.
func (r *replica) connectMute(t *testing.T, token string, dial ...grpc.DialOption) *sidecar {
	t.Helper()
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(r.conf.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	conn, err := grpc.NewClient(r.address, append(dial, grpc.WithTransportCredentials(credentials.NewTLS(
		&tls.Config{RootCAs: roots, ServerName: "push.test", MinVersion: tls.VersionTLS13})))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx := t.Context()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	rpc, err := pushv1.NewPushClient(conn).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &sidecar{t: t, rpc: rpc}
}

func snapshotWithKeySet() compile.Snapshot {
	return compile.Snapshot{
		Namespace: "shop",
		Policies: []*compile.Policy{{
			Namespace: "shop", Name: "orders", UID: "uid-orders", Generation: 1,
			Spec: policy.Spec{Issuers: []policy.Issuer{{
				Name: "idp", Issuer: "https://idp.example", AnyAudience: true,
				Keys: policy.KeySource{JWKSURL: "https://idp.example/jwks"},
			}}},
		}},
		Workloads: []compile.Workload{{Name: "a", UID: "uid-a"}},
	}
}

// What a sidecar says of its pod's ports and of its copy on disk gets to the leader, bounded and printable.
func TestReplicasReportPorts(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	leader, follower := startReplica(t, cert, nil), startReplica(t, cert, nil)
	reporter := &push.Reporter{Server: follower.Server, Leader: fixedLeader(leader.address), Replica: "other", Peers: follower.peers}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reporter.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	v1 := newBundle("v1", 1)
	leader.give(map[string]*compile.Bundle{"a": v1})
	follower.give(map[string]*compile.Bundle{"a": v1})
	s := follower.connect(t, follower.tokens.mint("a", tomorrow(), nil), "")
	s.expect(v1)
	tell := func(m *pushv1.State) { s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_State{State: m}}) }
	many := &pushv1.State{ForeignPorts: []*pushv1.ForeignPort{{Port: 8443, Protocol: "TLS\n" + strings.Repeat("x", 1000)}}}
	for i := range uint32(1000) {
		many.OpenPorts = append(many.OpenPorts, &pushv1.OpenPort{Port: 18080 + i*1000})
	}
	tell(many)
	leader.until(t, "the ports", func(m map[string]push.Sidecar) bool {
		c := m["uid-a"]
		return c.Open == "18080, 19080, 20080, 21080, 22080, 23080, 24080, 25080" && strings.HasPrefix(c.Foreign, `8443 TLS\nx`) && len(c.Foreign) < 64
	})
	tell(&pushv1.State{OpenPorts: []*pushv1.OpenPort{{Port: 18080}}, ForeignPorts: []*pushv1.ForeignPort{{Port: 8443, Protocol: "TLS"}}})
	leader.until(t, "fewer ports", func(m map[string]push.Sidecar) bool {
		return m["uid-a"].Open == "18080" && m["uid-a"].Foreign == "8443 TLS"
	})
	tell(&pushv1.State{Unsaved: true})
	leader.until(t, "that it could not save", func(m map[string]push.Sidecar) bool { return m["uid-a"].Unsaved && m["uid-a"].Open == "" })
	tell(&pushv1.State{})
	leader.until(t, "none", func(m map[string]push.Sidecar) bool {
		return m["uid-a"].UID != "" && !m["uid-a"].Unsaved && m["uid-a"].Open == "" && m["uid-a"].Foreign == ""
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
