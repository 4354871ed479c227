package source_test

import (
	"crypto/tls"
	"net"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/sidecar/source"
)

// handed is a listener that also hands its connections to the test.
type handed struct {
	net.Listener
	conns chan net.Conn
}

func (h handed) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err == nil {
		h.conns <- c
	}
	return c, err
}

// TestAControllerThatIsCutOffIsNoticed has a kernel that answers nothing any more on the connection to the controller.
func TestAControllerThatIsCutOffIsNoticed(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t, "push.test")
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := handed{lis, make(chan net.Conn, 10)}
	c := &controller{streams: make(chan *session, 10)}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})))
	pushv1.RegisterPushServer(server, c)
	go func() { _ = server.Serve(conns) }()
	t.Cleanup(server.Stop)
	f, s := files{t.TempDir()}, newSink()
	f.ca(t, ca)
	f.token(t, "token")
	p, _ := follow(t, lis.Addr().String(), f, s, source.LastGood{})
	stream := c.accept(t)
	stream.hears(t)
	data, version := encoded(t, "first")
	stream.says(t, data, version)
	stream.hears(t)
	if got := p.Freshness(); !got.Connected || got.Age != 0 {
		t.Fatalf("with the newest rules: %+v", got)
	}

	raw, err := (<-conns.conns).(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.AttachLsf(int(fd), []syscall.SockFilter{*syscall.LsfStmt(syscall.BPF_RET|syscall.BPF_K, 0)}) //nolint:staticcheck // enough for this
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	began := time.Now()
	eventually(t, func() bool { return !p.Freshness().Connected || time.Since(began) > 20*time.Second }, s.text)
	if d := time.Since(began); d > 12*time.Second {
		t.Errorf("it took %s; want some 8 s", d)
	} else {
		t.Logf("it took %s", d)
	}
}
