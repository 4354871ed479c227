package proxy

import (
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// More handshakes than may be under way at a time stop half-way: clients that are served already do not notice, and further ones get
// their turn.
func TestHandshakesHalfWay(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	g := protect(t, url, func(c *Config) { c.TLS, c.Limits.ReadHead = certificate(t), time.Minute })
	known := secure(t, false)
	get := func() string { return verdict(t, known, request(t, "GET", "https://"+g.addr+"/docs/a", nil)) }
	if got := get(); got != "200" {
		t.Fatal(got)
	}
	for range mostHandshakes + 100 {
		_, _ = io.WriteString(dial(t, g.addr), "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	}
	if got := get(); got != "200" {
		t.Errorf("on a connection that was there before: %s", got)
	}
	if got := verdict(t, secure(t, false), request(t, "GET", "https://"+g.addr+"/docs/a", nil)); got != "200" {
		t.Errorf("on a new connection: %s", got)
	}
}

// Connections that end before their handshake begins, since there is no file descriptor left, take no place from those that come
// once there are some again.
func TestHandshakesWithoutDescriptors(t *testing.T) { //nolint:paralleltest // it takes all file descriptors
	url, _ := counting(t)
	g := protect(t, url, func(c *Config) { c.TLS, c.Limits.ReadHead = certificate(t), 3*time.Second })
	if got := verdict(t, secure(t, false), request(t, "GET", "https://"+g.addr+"/docs/a", nil)); got != "200" {
		t.Fatal(got)
	}
	spare := scarce(t)
	for range mostHandshakes + 1 {
		spare(2) // the client's socket, and that which is accepted: no more
		meet(t, g.addr)
	}
	spare(-1)
	if got := verdict(t, secure(t, false), request(t, "GET", "https://"+g.addr+"/docs/a", nil)); got != "200" {
		t.Errorf("with file descriptors again: %s", got)
	}
}

// scarce takes all file descriptors of the process. The function that it returns leaves n to others; -1: all.
func scarce(t *testing.T) (spare func(n int)) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	low := was
	low.Cur = min(was.Cur, 512)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var taken []*os.File
	spare = func(n int) {
		for n >= 0 {
			f, err := os.Open(os.DevNull)
			if err != nil {
				break
			}
			taken = append(taken, f)
		}
		if n < 0 {
			n = len(taken)
			_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
		}
		for _, f := range taken[len(taken)-n:] {
			_ = f.Close()
		}
		taken = taken[:len(taken)-n]
	}
	t.Cleanup(func() { spare(-1) })
	return spare
}

// meet connects with one file descriptor, and returns when the other side has ended the connection.
func meet(t *testing.T, addr string) {
	t.Helper()
	to := netip.MustParseAddrPort(addr)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := unix.Recvfrom(fd, make([]byte, 1), 0); err == unix.EAGAIN { //nolint:errorlint // an errno
		t.Fatal("the connection goes on")
	}
}
