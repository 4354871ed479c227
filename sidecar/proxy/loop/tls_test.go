//go:build unix

package loop_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// configs are a server's and a client's.
func configs(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: pool, ServerName: "example.com", MinVersion: tls.VersionTLS12}
}

func TestTLSOnTheLoop(t *testing.T) {
	t.Parallel()
	server, client := configs(t)
	for name, test := range map[string]struct {
		ours  func(net.Conn) *tls.Conn
		peers func(net.Conn) *tls.Conn
	}{
		"the loop is the server": {
			func(c net.Conn) *tls.Conn { return tls.Server(c, server) }, func(c net.Conn) *tls.Conn { return tls.Client(c, client) },
		},
		"the loop is the client": {
			func(c net.Conn) *tls.Conn { return tls.Client(c, client) }, func(c net.Conn) *tls.Conn { return tls.Server(c, server) },
		},
		"TLS 1.2": {
			func(c net.Conn) *tls.Conn { return tls.Server(c, server) },
			func(c net.Conn) *tls.Conn {
				old := client.Clone()
				old.MaxVersion = tls.VersionTLS12
				return tls.Client(c, old)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t, loop.Options{})
			c, peer := pair(t, l, &handler{})
			on(t, l, func() {
				c.Handshake(test.ours, patience, func(over *tls.Conn, err error) {
					if err != nil || !over.ConnectionState().HandshakeComplete {
						t.Error("no handshake:", err)
						c.Close()
						return
					}
					c.Handle(echo())
				})
			})
			secure := test.peers(peer)
			sent := noise(3 << 20)
			go func() {
				_, _ = secure.Write(sent)
				_ = secure.CloseWrite()
			}()
			if got, err := io.ReadAll(secure); err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("got %d bytes, %v; want the %d that were sent", len(got), err, len(sent))
			}
		})
	}
}

func TestAHandshakeEnds(t *testing.T) {
	t.Parallel()
	server, _ := configs(t)
	for name, test := range map[string]struct {
		do    func(*net.TCPConn)
		limit time.Duration
		want  error
	}{
		"after its time":                {func(*net.TCPConn) {}, 2 * loop.Tick, os.ErrDeadlineExceeded},
		"when the client goes":          {func(c *net.TCPConn) { _ = c.Close() }, patience, io.EOF},
		"when the client speaks no TLS": {func(c *net.TCPConn) { _, _ = c.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }, patience, tls.RecordHeaderError{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t, loop.Options{})
			c, peer := pair(t, l, &handler{})
			got := make(chan error, 1)
			on(t, l, func() {
				c.Handshake(func(n net.Conn) *tls.Conn { return tls.Server(n, server) }, test.limit, func(_ *tls.Conn, err error) {
					c.Close()
					got <- err
				})
			})
			test.do(peer)
			err := receive(t, got)
			if _, is := errors.AsType[tls.RecordHeaderError](err); !is && !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestALoopThatClosesLeavesNoHandshake(t *testing.T) {
	t.Parallel()
	server, _ := configs(t)
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { l.Run(); close(ended) }()
	c, peer := pair(t, l, &handler{})
	on(t, l, func() {
		c.Handshake(func(n net.Conn) *tls.Conn { return tls.Server(n, server) }, patience, func(*tls.Conn, error) { t.Error("it was told") })
	})
	l.Close()
	receive(t, ended)
	if _, err := peer.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, want the end of the connection", err)
	}
}

// The descriptor is the handshake's until it has ended: it may be another file's as soon as it is closed.
func TestAPanicEndsAHandshakeThatIsUnderWay(t *testing.T) {
	t.Parallel()
	server, _ := configs(t)
	l := start(t, loop.Options{})
	c, peer := pair(t, l, &handler{})
	ended := make(chan error, 1)
	on(t, l, func() {
		c.Handshake(func(n net.Conn) *tls.Conn { return tls.Server(n, server) }, patience, func(_ *tls.Conn, err error) {
			c.Close()
			ended <- err
		})
		c.Guard(func() { panic("meanwhile") })
		if c.Closed() {
			t.Error("the descriptor is closed while the handshake uses it")
		}
	})
	if err := receive(t, ended); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the handshake ended with %v", err)
	}
	if _, err := peer.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the end of the connection", err)
	}
}

func TestAPanicOfWhatFollowsAHandshakeEndsTheConnection(t *testing.T) {
	t.Parallel()
	server, client := configs(t)
	l := start(t, loop.Options{})
	c, peer := pair(t, l, &handler{})
	on(t, l, func() {
		c.Handshake(func(n net.Conn) *tls.Conn { return tls.Server(n, server) }, patience, func(*tls.Conn, error) { panic("done") })
	})
	secure := tls.Client(peer, client)
	if err := secure.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := secure.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the end of the connection", err)
	}
}
