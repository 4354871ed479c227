package loop

import (
	"cmp"
	"errors"
	"net"
	"slices"
)

// errRelieved is what a handler is told of a connection that Relieve ends.
var errRelieved = errors.New("the kernel held more for connections than the memory limit allows")

// Tighten has the kernel hold little for each connection, those too that come now, or as much as it finds good again.
func (l *Loop) Tighten(tight bool) {
	if l.tight == tight {
		return
	}
	l.tight = tight
	set := widen
	if tight {
		set = narrow
	}
	for _, c := range l.slots {
		if c != nil && !c.Closed() {
			set(int(c.fd))
		}
	}
}

// Narrow has the kernel hold little for a connection that is not the loop's yet.
func Narrow(c *net.TCPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { narrow(int(fd)) }) //nolint:gosec // it is one
	}
}

// Widen undoes Narrow, unless the loop's connections are to hold little.
func (c *Conn) Widen() {
	if !c.loop.tight && !c.Closed() {
		widen(int(c.fd))
	}
}

// leastHeld is what the kernel holds for a connection that Relieve may end, in bytes: a page.
const leastHeld = 4 << 10

// Relieve ends connections until the kernel holds so many bytes less: those first for which it holds most. It returns how many it has ended.
func (l *Loop) Relieve(held int64) (ended int) {
	type load struct {
		c    *Conn
		held int64
	}
	var all []load
	for _, c := range l.slots {
		if c == nil || c.Closed() || c.cut() {
			continue
		}
		if n := c.held(); n >= leastHeld {
			all = append(all, load{c, n})
		}
	}
	slices.SortFunc(all, func(a, b load) int { return cmp.Compare(b.held, a.held) })
	for _, one := range all {
		if held <= 0 {
			break
		}
		held -= one.held
		if !one.c.Closed() { // else it has ended with one before
			one.c.relieve()
			ended++
		}
	}
	return ended
}

// cut reports whether the connection is about to end with its handshake.
func (c *Conn) cut() bool {
	h, ok := c.handler.(*handshake)
	return ok && h.below.cut.Load()
}

// relieve ends the connection so that the kernel forgets what it holds at once.
func (c *Conn) relieve() {
	defer c.recover()
	c.unlinger()
	c.breaks(errRelieved)
}
