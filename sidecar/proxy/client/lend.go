package client

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// shut is for a connection that has had no window for any body: other bodies that nobody takes had all of it.
type shut struct {
	timer loop.Timer
	since time.Time     // it has none; zero: it has
	all   time.Duration // that it had none, before
}

// looks is how often it is looked at whether the window can be opened.
const looks = 250 * time.Millisecond

// lends opens the connection's window for what has come of a body: what nobody takes yet, as while a verdict is waited for, must not stop the other
// streams. Where too much is held already, that is done once it is not any more.
func (c *HTTP2) lends(id uint32) {
	if loop.Room() == loop.LargeBlock {
		c.frames.Lend(id)
	}
	if !c.frames.Shut() {
		return
	}
	if c.shut == nil {
		c.shut = &shut{}
		c.shut.timer = loop.Timer{Do: c.opens, Of: c.conn}
	}
	if c.shut.since.IsZero() {
		c.shut.since = c.host.Loop.Now()
		c.host.Loop.Set(&c.shut.timer, looks)
	}
}

// opens lends for all streams, as soon as that can be done.
func (c *HTTP2) opens() {
	if c.ending {
		return
	}
	if c.frames.Shut() && loop.Room() == loop.LargeBlock {
		c.frames.LendAll()
		c.touch()
	}
	if c.frames.Shut() {
		c.host.Loop.Set(&c.shut.timer, looks)
		return
	}
	c.shut.all += c.host.Loop.Now().Sub(c.shut.since)
	c.shut.since = time.Time{}
}

// shutFor is for how long the client could send no body so far.
func (c *HTTP2) shutFor() time.Duration {
	switch {
	case c.shut == nil:
		return 0
	case c.shut.since.IsZero():
		return c.shut.all
	}
	return c.shut.all + c.host.Loop.Now().Sub(c.shut.since)
}

// staysOpen stops looking.
func (c *HTTP2) staysOpen() {
	if c.shut != nil {
		c.host.Loop.Stop(&c.shut.timer)
	}
}
