package capture

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNamespace is set in the child that runs inside its own user and network namespace.
const inNamespace = "BEARERGUARD_TEST_IN_NAMESPACE"

// TestRedirect runs TestRedirectInNamespace in a fresh user and network namespace, so that it needs no root and leaves
// no trace. Where the machine does not allow that, it is skipped, but fails in CI.
func TestRedirect(t *testing.T) {
	t.Parallel()
	if os.Getenv(inNamespace) != "" {
		t.Skip("already inside")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skip(t, "no ip (iproute2): %v", err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRedirectInNamespace$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		skip(t, "no user and network namespaces: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "--- PASS: TestRedirectInNamespace") {
		t.Fatalf("the inner test did not run:\n%s", out)
	}
}

func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// TestRedirectInNamespace has the pod in the process's own namespace and the client in one more, with a veth between.
func TestRedirectInNamespace(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		t.Skip("run by TestRedirect")
	}
	client := otherNamespace(t)
	ip(t, "link", "set", "lo", "up")
	ip(t, "link", "add", "pod0", "type", "veth", "peer", "name", "client0", "netns", fmt.Sprint(client.tid))
	ip(t, "addr", "add", "10.9.0.1/24", "dev", "pod0")
	ip(t, "addr", "add", "fd09::1/64", "dev", "pod0", "nodad")
	ip(t, "link", "set", "pod0", "up")
	client.do(func() {
		ip(t, "link", "set", "client0", "up")
		ip(t, "addr", "add", "10.9.0.2/24", "dev", "client0")
		ip(t, "addr", "add", "fd09::2/64", "dev", "client0", "nodad")
	})

	sidecar := listen(t, ":15080", original)
	_ = sidecar
	listen(t, ":8080", text("app"))
	listen(t, ":22", text("ssh"))

	dials := []struct{ name, addr, want string }{
		{"IPv4 to the app's port", "10.9.0.1:8080", "sidecar for 10.9.0.1:8080"},
		{"IPv4 to a port nobody listens on", "10.9.0.1:9999", "sidecar for 10.9.0.1:9999"},
		{"IPv4 to an excluded port", "10.9.0.1:22", "ssh"},
		{"IPv4 to the sidecar itself", "10.9.0.1:15080", "sidecar for 10.9.0.1:15080"},
		{"IPv6 to the app's port", "[fd09::1]:8080", "sidecar for [fd09::1]:8080"},
		{"IPv6 to an excluded port", "[fd09::1]:22", "ssh"},
	}
	for range 2 { // installing it again changes nothing
		if err := Install(Config{To: 15080, Exclude: []uint16{22, 22, 15080}}); err != nil {
			t.Fatal(err)
		}
		for _, d := range dials {
			client.do(func() {
				if got := get(d.addr); got != d.want {
					t.Errorf("%s: got %q, want %q", d.name, got, d.want)
				}
			})
		}
		for _, addr := range []string{"127.0.0.1:8080", "[::1]:8080", "10.9.0.1:8080", "[fd09::1]:8080"} {
			if got := get(addr); got != "app" {
				t.Errorf("from the pod itself to %s: got %q, want the app", addr, got)
			}
		}
	}

	if err := Remove(); err != nil {
		t.Fatal(err)
	}
	client.do(func() {
		if got := get("10.9.0.1:8080"); got != "app" {
			t.Errorf("after Remove: got %q, want the app", got)
		}
	})
}

// namespace runs functions on a thread that lives in a network namespace of its own.
type namespace struct {
	tid  int
	jobs chan func()
}

func otherNamespace(t *testing.T) *namespace {
	t.Helper()
	n := &namespace{jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		n.tid = unix.Gettid()
		ready <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range n.jobs {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(n.jobs) })
	return n
}

func (n *namespace) do(f func()) {
	done := make(chan struct{})
	n.jobs <- func() { defer close(done); f() }
	<-done
}

// ip runs in the namespace of the calling thread, since a child inherits it from the thread that forks.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// get dials from the namespace of the calling thread and returns what the server says.
func get(addr string) string {
	dst := netip.MustParseAddrPort(addr)
	family, sa := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Addr: as4(dst), Port: int(dst.Port())})
	if dst.Addr().Is6() {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Addr: dst.Addr().As16(), Port: int(dst.Port())}
	}
	// A plain socket: Go's own dialer may go on in another thread.
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = unix.Close(fd) }()
	limit := unix.NsecToTimeval((5 * time.Second).Nanoseconds())
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
	if err := unix.Connect(fd, sa); err != nil {
		return err.Error()
	}
	buf := make([]byte, 256)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return err.Error()
	}
	return string(buf[:n])
}

func as4(a netip.AddrPort) [4]byte {
	if a.Addr().Is4() {
		return a.Addr().As4()
	}
	return [4]byte{}
}

func listen(t *testing.T, addr string, answer func(*net.TCPConn) string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, answer(c.(*net.TCPConn)))
			_ = c.Close()
		}
	}()
	return l
}

func text(s string) func(*net.TCPConn) string {
	return func(*net.TCPConn) string { return s }
}

func original(c *net.TCPConn) string {
	dst, err := OriginalDst(c)
	if err != nil {
		return err.Error()
	}
	return "sidecar for " + dst.String()
}
