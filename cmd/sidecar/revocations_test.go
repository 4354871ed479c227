package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
)

// pusher is a push service that hands its stream to the test.
type pusher struct {
	pushv1.UnimplementedPushServer
	streams chan pushv1.Push_StreamServer
}

func (p *pusher) Stream(s pushv1.Push_StreamServer) error {
	p.streams <- s
	<-s.Context().Done()
	return s.Context().Err()
}

// startPushed starts a sidecar that is pushed to, as an injected one is, and returns the stream after its Hello.
func startPushed(t *testing.T) (*process, pushv1.Push_StreamServer) {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"push.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca, token := filepath.Join(dir, "ca"), filepath.Join(dir, "token")
	for name, text := range map[string][]byte{ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), token: []byte("t")} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := &pusher{streams: make(chan pushv1.Push_StreamServer, 1)}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})))
	pushv1.RegisterPushServer(server, service)
	go func() { _ = server.Serve(lis) }()
	t.Cleanup(server.Stop)
	state := filepath.Join(dir, "state")
	if runtime.GOOS != "linux" {
		t.Skip("memory is read from /proc")
	}
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOMEMLIMIT", fmt.Sprint(128<<20/10*9)) // what the sidecar takes of a container's 128Mi
	p := start(t, "http://127.0.0.1:1", "--push", lis.Addr().String(), "--push-server-name", "push.test", "--push-ca", ca,
		"--push-token", token, "--state-dir", state)
	select {
	case s := <-service.streams:
		if m, err := s.Recv(); err != nil || m.GetHello() == nil {
			t.Fatalf("%v, %v; want a Hello", m, err)
		}
		return p, s
	case <-time.After(patience):
		t.Fatalf("the sidecar does not connect\n%s", p.log)
		return nil, nil
	}
}

// say sends a message and returns the answer that tells whether it is in use; what the sidecar says of itself is passed over.
func say(t *testing.T, s pushv1.Push_StreamServer, messages ...*pushv1.ServerMessage) *pushv1.ClientMessage {
	t.Helper()
	for _, m := range messages {
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	for {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetAck() != nil || m.GetNack() != nil {
			return m
		}
	}
}

// change is the messages that lead from one set to another.
func change(from, to *revoked.Set) (out []*pushv1.ServerMessage) {
	v, base := to.Version(), []byte(nil)
	if from != nil {
		b := from.Version()
		base = b[:]
	}
	chunks := revoked.Diff(from, to).Chunks(512 << 10)
	for i, c := range chunks {
		out = append(out, &pushv1.ServerMessage{Revocations: &pushv1.Revocations{
			Base: base, Version: v[:], Added: c.Added, Removed: c.Removed, More: i < len(chunks)-1,
		}})
	}
	return out
}

// TestAMillionRevocationsInADefaultSidecar gives a real sidecar rules before revocations, with which it must not judge, then a million
// of these and some changes, and prints what that takes of the 128Mi that an injected sidecar has.
func TestAMillionRevocationsInADefaultSidecar(t *testing.T) {
	p, s := startPushed(t)
	b := bundle.Assemble([]bundle.Object{{Namespace: "shop", Name: "open", Spec: policy.Spec{
		Rules: []policy.Rule{{Name: "all", Allow: &policy.Allow{Anonymous: true}}},
	}}}, nil)
	encoded, err := bundle.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	say(t, s, &pushv1.ServerMessage{Version: bundle.Version(encoded), Bundle: encoded})
	if got := p.get(t, p.url+"/", ""); got != http.StatusServiceUnavailable {
		t.Errorf("with rules and without revocations a request gets %d", got)
	}
	if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusServiceUnavailable {
		t.Errorf("with rules and without revocations the sidecar says %d to a readiness probe", got)
	}
	before := memory(t, p)
	r := policy.Revocation{Issuer: "https://login.example", Entries: make([]policy.RevocationEntry, 1_000_000)}
	for i := range r.Entries {
		r.Entries[i].JTI = "5f2b6a3e-0000-4000-8000-" + strconv.Itoa(i)
	}
	set := revoked.SetOf(r)
	if m := say(t, s, change(nil, set)...); m.GetAck() == nil {
		t.Fatalf("a million: %v", m)
	}
	p.eventually(t, "it is ready", func() bool { return p.get(t, p.admin+"/readyz", "") == http.StatusOK })
	peak := memory(t, p)
	for i := range 5 {
		r.Entries = append(r.Entries[1:], policy.RevocationEntry{JTI: strconv.Itoa(i)})
		next := revoked.SetOf(r)
		if m := say(t, s, change(set, next)...); m.GetAck() == nil {
			t.Fatalf("a change: %v", m)
		}
		set, peak = next, max(peak, memory(t, p))
	}
	const files = 20 + 20 // MiB in the state volume, which is memory too: the copy, and the next one while it is written
	t.Logf("a sidecar with a million revocations: %d MiB of its own before, %d MiB at most with them, and %d MiB of files", before, peak, files)
	if peak+files > 128 {
		t.Errorf("%d MiB; an injected sidecar has 128", peak+files)
	}
}

// memory is what the process has of its own, in MiB: without the mapped program, whose pages the kernel takes back where memory is short.
func memory(t *testing.T, p *process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("RssAnon:"))
	var kib int
	if _, err := fmt.Sscan(string(rest), &kib); err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}
