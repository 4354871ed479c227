//go:build !386 && !s390x && !loop_poll

package loop_test

import (
	"io"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// While the kernel is to hold little, it does for connections that were there and for new ones; afterwards it may find out again how much is good.
func TestTheKernelHoldsLittle(t *testing.T) {
	t.Parallel()
	const little = 128 << 10
	l := start(t, loop.Options{})
	before, _ := pair(t, l, &handler{})
	on(t, l, func() { l.Tighten(true) })
	after, _ := pair(t, l, &handler{})
	for name, c := range map[string]*loop.Conn{"one that was there": before, "a new one": after} {
		on(t, l, func() {
			if in, out := c.Buffers(); in > little || out > little {
				t.Errorf("%s: the kernel holds up to %d bytes that have come, and %d to be sent", name, in, out)
			}
		})
	}

	on(t, l, func() {
		l.Tighten(false)
		for name, c := range map[string]*loop.Conn{"one that was there": before, "a new one": after} {
			switch locked, err := c.BuffersLocked(); {
			case err != nil:
				t.Skip(err) // before Linux 5.14
			case locked:
				t.Errorf("%s: the kernel may not find out how much is good", name)
			}
		}
	})
}

// A connection that is dropped takes what its peer has yet to take with it; one that is closed does not.
func TestWhatADroppedConnectionOwesIsLost(t *testing.T) {
	t.Parallel()
	const much, little = 256 << 10, 4 << 10
	for name, tt := range map[string]struct {
		owed int
		end  func(*loop.Conn)
		lost bool
	}{
		"dropped":                  {much, (*loop.Conn).Drop, true},
		"closed":                   {much, (*loop.Conn).Close, false},
		"dropped, and owes little": {little, (*loop.Conn).Drop, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t, loop.Options{})
			c, peer := pair(t, l, &handler{})
			_ = peer.SetReadBuffer(16 << 10)
			on(t, l, func() {
				c.Write(make([]byte, tt.owed))
				tt.end(c)
			})
			if _, err := io.ReadAll(peer); (err != nil) != tt.lost {
				t.Errorf("the peer reads %v", err)
			}
		})
	}
}
