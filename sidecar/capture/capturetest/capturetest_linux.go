// Package capturetest runs tests of redirection in network namespaces of their own. It is not part of any binary.
package capturetest

import (
	"fmt"
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

// inside is set in the child that runs in its own user and network namespace.
const inside = "BEARERGUARD_TEST_IN_NAMESPACE"

// Inside reports whether the test runs in its own namespaces. If not, it first runs the test there, in a child, so that
// neither root is needed nor a trace left. Where the machine does not allow that, the test is skipped, but fails in CI.
func Inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skip(t, "no ip (iproute2): %v", err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s") //nolint:gosec // this very test
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		skip(t, "no user and network namespaces: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in its own namespace: %v\n%s", err, out)
	}
	return false
}

func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Client runs functions on a thread that lives in a network namespace of its own.
type Client struct {
	jobs chan func()
}

// NewClient makes a client's namespace, with a link to the test's own: the test has 10.9.0.1 and fd09::1, the client
// 10.9.0.2 and fd09::2. The client sends what is for 10.77.0.0/24 to the test's namespace too, which has no such address.
func NewClient(t *testing.T) *Client {
	t.Helper()
	c := &Client{jobs: make(chan func())}
	var thread int
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		thread = unix.Gettid()
		ready <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range c.jobs {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(c.jobs) })
	ip(t, "link", "set", "lo", "up")
	ip(t, "link", "add", "pod0", "type", "veth", "peer", "name", "client0", "netns", fmt.Sprint(thread))
	ip(t, "addr", "add", "10.9.0.1/24", "dev", "pod0")
	ip(t, "addr", "add", "fd09::1/64", "dev", "pod0", "nodad")
	ip(t, "link", "set", "pod0", "up")
	c.Do(func() {
		ip(t, "link", "set", "client0", "up")
		ip(t, "addr", "add", "10.9.0.2/24", "dev", "client0")
		ip(t, "addr", "add", "fd09::2/64", "dev", "client0", "nodad")
		ip(t, "route", "add", "10.77.0.0/24", "via", "10.9.0.1")
	})
	return c
}

// Do runs f in the client's namespace. Goroutines that f starts are not in it.
func (c *Client) Do(f func()) {
	done := make(chan struct{})
	c.jobs <- func() { defer close(done); f() }
	<-done
}

// ip runs in the namespace of the calling thread, since a child inherits it from the thread that forks.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil { //nolint:gosec // constants
		t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Exchange dials from the namespace of the calling thread, sends something, and returns what the server says until it
// closes, or the error that kept it from that.
func Exchange(addr, send string) string {
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
	if _, err := uninterrupted(func() (int, error) { return 0, unix.Connect(fd, sa) }); err != nil {
		return err.Error()
	}
	if _, err := uninterrupted(func() (int, error) { return unix.Write(fd, []byte(send)) }); err != nil {
		return err.Error()
	}
	var all []byte
	for {
		buf := make([]byte, 4096)
		n, err := uninterrupted(func() (int, error) { return unix.Read(fd, buf) })
		if err != nil {
			return string(all) + err.Error()
		}
		if n == 0 {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}

// uninterrupted does a system call again that a signal has interrupted, as the runtime's does those with a limit of time (signal(7)).
func uninterrupted(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); err != unix.EINTR { //nolint:errorlint // it is returned as it is
			return n, err
		}
	}
}

func as4(a netip.AddrPort) [4]byte {
	if a.Addr().Is4() {
		return a.Addr().As4()
	}
	return [4]byte{}
}
