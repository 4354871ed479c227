package client

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// shut is for a connection that has had no window for any body: other bodies that nobody takes had all of it.
type shut struct {
	timer loop.Timer
	last  time.Time // when that was found last
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
	if !c.shut.timer.On() {
		c.waitsForRoom()
	}
}

func (c *HTTP2) waitsForRoom() {
	c.shut.last = c.host.Loop.Now()
	c.host.Loop.Set(&c.shut.timer, looks)
}

// opens lends for all streams, as soon as that can be done.
func (c *HTTP2) opens() {
	if c.ending || !c.frames.Shut() {
		return
	}
	c.waitsForRoom()
	if loop.Room() == loop.LargeBlock {
		c.frames.LendAll()
		c.touch()
	}
}

// shutUntil is when the client could send no body last.
func (c *HTTP2) shutUntil() time.Time {
	if c.frames.Shut() {
		c.shut.last = c.host.Loop.Now()
	}
	return c.shut.last
}

// staysOpen stops looking.
func (c *HTTP2) staysOpen() {
	if c.shut != nil {
		c.host.Loop.Stop(&c.shut.timer)
	}
}
