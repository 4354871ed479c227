package client

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// gone is an Owner that tells of the end.
type gone chan struct{}

// Gone implements Owner.
func (g gone) Gone() { close(g) }

// HTTP2 implements Owner.
func (gone) HTTP2([]byte) {}

// A client that takes nothing of its answer is cut off in time, though more and more of it comes, such as events.
func TestWhoTakesNothingIsCutOffWhateverComes(t *testing.T) {
	t.Parallel()
	const limit, often = 400 * time.Millisecond, 50 * time.Millisecond
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	defer l.Close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1]) // it is never read from
	_ = unix.SetNonblock(fds[0], true)
	ended := make(gone)
	l.Post(func() {
		of := &exchange.Conn{}
		of.Init(exchange.NewHost(t.Context(), &exchange.Config{Limits: exchange.Limits{Write: limit}}, l), nil)
		conn, err := l.Add(fds[0], nil)
		if err != nil {
			t.Error(err)
			return
		}
		c := NewHTTP1(conn, of, ended)
		c.Data(make([]byte, 1<<20)) // more than the kernel takes
		var event loop.Timer
		event.Do = func() {
			if !conn.Closed() {
				c.Data([]byte("."))
				l.Set(&event, often)
			}
		}
		event.Do()
	})
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the connection goes on")
	}
}
