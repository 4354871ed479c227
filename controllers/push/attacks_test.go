package push_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/push/reportv1"
)

// dial opens a connection as one who holds the replicas' certificate.
func (r *replica) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	leaf, err := x509.ParseCertificate(r.conf.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	conn, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: roots, ServerName: "push.test", MinVersion: tls.VersionTLS13, Certificates: r.conf.Certificates,
	})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestAReportThatOutlivesItsSuccessor has a stream that hangs, of a replica that reported anew and then was forgotten.
func TestAReportThatOutlivesItsSuccessor(t *testing.T) {
	t.Parallel()
	leader := startReplica(t, newCertificate(t), nil)
	report := func(uid string) reportv1.Reports_ReportClient {
		rpc, err := reportv1.NewReportsClient(leader.dial(t)).Report(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = rpc.Send(&reportv1.Change{Replica: "other", Sidecars: []*reportv1.Sidecar{{Namespace: "shop", Pod: "a", Uid: uid}}})
		if err != nil {
			t.Fatal(err)
		}
		leader.until(t, "heard "+uid, func(m map[string]push.Sidecar) bool { return m[uid].UID == uid })
		return rpc
	}
	first := report("uid-a")
	second := report("uid-b")
	_, _ = second.CloseAndRecv() // the end is no failure
	leader.until(t, "forgotten", func(m map[string]push.Sidecar) bool { return len(m) == 0 })
	if _, err := first.CloseAndRecv(); status.Code(err) == codes.Unavailable {
		t.Errorf("the leader broke: %v", err)
	}
	report("uid-c")
}

func TestLargeMetadataIsNotTaken(t *testing.T) {
	t.Parallel()
	r := startReplica(t, newCertificate(t), nil)
	token := r.tokens.mint("a", tomorrow(), nil)
	stream := func(junk int) error {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token, "junk", strings.Repeat("j", junk))
		rpc, err := pushv1.NewPushClient(r.dial(t)).Stream(ctx)
		if err != nil {
			return err
		}
		if err := rpc.Send(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{}}}); err != nil {
			return err
		}
		_, err = rpc.Recv()
		return err
	}
	if err := stream(1 << 10); status.Code(err) != codes.InvalidArgument { // no Hello came first
		t.Errorf("a kilobyte: %v; want it taken", err)
	}
	if err := stream(64 << 10); err == nil || status.Code(err) == codes.InvalidArgument {
		t.Errorf("64 KiB were taken: %v", err)
	}
}

// stranger opens a connection that shakes hands, begins HTTP/2, and says no more.
func (r *replica) stranger(t *testing.T) (net.Conn, error) {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}} //nolint:gosec // of the test's own server
	c, err := d.DialContext(t.Context(), "tcp", r.address)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	if err != nil {
		return nil, err
	}
	_, err = c.Read(make([]byte, 9)) // its SETTINGS
	return c, err
}

// TestStrangersHaveFewConnections has an address open connections without saying whose they are.
func TestStrangersHaveFewConnections(t *testing.T) {
	t.Parallel()
	one := map[string]*compile.Bundle{}
	for _, pod := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		one[pod] = newBundle("v1", 1)
	}
	r := startReplica(t, newCertificate(t), func(c *push.Config) { c.Strangers = 8 })
	r.give(one)
	token := func(pod string) string { return r.tokens.mint(pod, tomorrow(), nil) }
	for _, pod := range []string{"a", "b", "c", "d", "e", "f"} { // of this address as well
		r.connect(t, token(pod), "").expect(one[pod])
	}
	var held []net.Conn
	for range 20 {
		if c, err := r.stranger(t); err == nil {
			held = append(held, c)
		}
	}
	if len(held) != 4 {
		t.Errorf("an address has %d of 8 connections, want half of them", len(held))
	}
	elsewhere := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	other := r.connectMute(t, token("g"), grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		return elsewhere.DialContext(ctx, "tcp", address)
	}))
	other.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{}}})
	other.expect(one["g"])
	for _, c := range held {
		_ = c.Close()
	}
	again := r.connectMute(t, token("h"), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	again.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{}}})
	again.expect(one["h"])
}
