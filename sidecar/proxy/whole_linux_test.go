//go:build linux && !386 && !s390x && !loop_poll

package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// An app that answers before it has taken a body, and takes nothing of it then, has the kernel hold that for no longer than a client may take nothing.
func TestAnAppThatTakesNothingIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	err := answersEarly(t, 1<<20, func(c *Config) { c.Limits.Write = 3 * time.Second }, func(app string) {
		until(t, "the connection is gone", patience, func() bool { return !connected(t, app) })
	})
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the app gets %v; want a reset", err)
	}
}

// connected reports whether the kernel has a connection to an address of the loopback interface, be it one that has been closed.
func connected(t *testing.T, to string) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(fmt.Sprintf(" 0100007F:%04X [0-9A-F]{2} ", netip.MustParseAddrPort(to).Port())).Match(table)
}

// The same holds for an app of HTTP/2, whose connection ends with the client's: it gets the rest of a request that it has answered.
func TestAnAppOfHTTP2ThatAnswersEarlyGetsTheWholeBody(t *testing.T) {
	t.Parallel()
	const size = 60_000
	sent, left := make(chan struct{}), make(chan struct{})
	got := make(chan error, 1)
	takesLittle := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) }) //nolint:gosec // it is one
		return errors.Join(failed, err)
	}}
	l, err := takesLittle.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	app := func(c net.Conn) (err error) {
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return err
		}
		f := http2.NewFramer(c, c)
		_ = f.WriteSettings()
		for came := 0; came < size; {
			frame, err := f.ReadFrame()
			if err != nil {
				return fmt.Errorf("after %d bytes: %w", came, err)
			}
			switch frame := frame.(type) {
			case *http2.HeadersFrame:
				<-sent
				_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.StreamID, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true})
				<-left
			case *http2.DataFrame:
				came += len(frame.Data())
			}
		}
		return nil
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = app(c)
		}
		got <- err
	}()
	g := protect(t, "http://"+l.Addr().String(), func(c *Config) { c.AppProtocol = AppH2C })
	c := preface(t, g.addr)
	_ = c.open(1, "/docs/a")
	for rest := size; rest > 0; rest -= 10_000 {
		_ = c.WriteData(1, rest == 10_000, make([]byte, 10_000))
	}
	_ = c.WritePing(false, [8]byte{})
	c.ready(t)
	close(sent)
	if got := c.end(); got != "200" {
		t.Fatalf("got %s", got)
	}
	_ = c.conn.Close()
	until(t, "the client has left", patience, func() bool { return g.observer.open() == 0 })
	close(left)
	if err := <-got; err != nil {
		t.Error(err)
	}
}
