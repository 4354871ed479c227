//go:build !386 && !s390x && !loop_poll

package loop_test

import (
	"io"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// Where much is held for slow peers, one that reads nothing has nothing queued, and is heard of once it reads.
func TestWhoReadsNothingHasNothingQueued(t *testing.T) { //nolint:paralleltest // what is held is the process's
	const much, piece = 64 << 20, 1 << 10
	loop.Count(much)
	t.Cleanup(func() { loop.Count(-much) })
	given, full, goes := 0, make(chan int, 1), make(chan struct{}, 1)
	h := &handler{}
	h.drained = func(c *loop.Conn) {
		if given < 0 { // it was full, and is not any more
			goes <- struct{}{}
			return
		}
		if c.HasRoom() {
			c.Commit(append(c.Compose(piece), make([]byte, piece)...))
			given += piece
			return
		}
		if n := c.Queued(); n > 0 {
			t.Errorf("%d bytes are queued", n)
		}
		full <- given
		given = -1
	}
	l := start(t, loop.Options{})
	c, peer := pair(t, l, h)
	on(t, l, func() { h.drained(c) })
	n := receive(t, full)
	select {
	case <-goes:
		t.Fatal("it was told of room though the peer has read nothing")
	default:
	}
	if _, err := io.ReadFull(peer, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	receive(t, goes)
}
