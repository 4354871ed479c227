package push_test

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// TestASidecarThatIsCutOffIsNoticed has a kernel that answers nothing any more on a sidecar's connection.
func TestASidecarThatIsCutOffIsNoticed(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(r *replica){
		"while nothing is to be said": func(*replica) {},
		"while a bundle is sent":      func(r *replica) { r.give(map[string]*compile.Bundle{"a": newBundle("v2", 2)}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReplica(t, newCertificate(t), nil)
			v1 := newBundle("v1", 1)
			r.give(map[string]*compile.Bundle{"a": v1})
			conns := make(chan net.Conn, 1)
			dial := grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
				if err == nil {
					conns <- conn
				}
				return conn, err
			})
			s := r.connectMute(t, r.tokens.mint("a", tomorrow(), nil), dial)
			s.say(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{}}})
			s.expect(v1)
			cut(t, <-conns)
			then(r)
			began := time.Now()
			r.until(t, "lost", func(m map[string]push.Sidecar) bool { return !m["uid-a"].Lost.IsZero() })
			if d := time.Since(began); d > 12*time.Second {
				t.Errorf("it took %s; want some 8 s", d)
			} else {
				t.Logf("it took %s", d)
			}
		})
	}
}

// cut makes the kernel drop whatever comes on a connection from now on, before it is acknowledged.
func cut(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
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
}
