package push_test

import (
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

// stranger opens a connection from an address that shakes hands, begins HTTP/2, and says no more.
func (r *replica) stranger(t *testing.T, from byte) error {
	t.Helper()
	d := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}},
		Config:    &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}, //nolint:gosec // of the test's own server
	}
	c, err := d.DialContext(t.Context(), "tcp", r.address)
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	if err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 9)) // its SETTINGS
	return err
}

// TestStrangersKeepNobodyOut has a few addresses take all connections that there are, and say on none whose it is.
func TestStrangersKeepNobodyOut(t *testing.T) {
	t.Parallel()
	one := map[string]*compile.Bundle{}
	for _, pod := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		one[pod] = newBundle("v1", 1)
	}
	r := startReplica(t, newCertificate(t), func(c *push.Config) { c.Strangers = 8 })
	r.give(one)
	connect := func(pod string) { r.connect(t, r.tokens.mint(pod, tomorrow(), nil), "").expect(one[pod]) }
	for _, pod := range []string{"a", "b", "c", "d", "e"} { // more than an address may have strangers
		connect(pod)
	}
	for from := byte(2); from < 5; from++ { // one after the other
		held := 0
		for range 8 {
			if r.stranger(t, from) == nil {
				held++
			}
		}
		if most := 4; held > most {
			t.Errorf("an address has %d of 8 connections, want %d at most", held, most)
		}
	}
	connect("f")
	connect("g")
}
