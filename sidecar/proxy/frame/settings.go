package frame

import "encoding/binary"

// Settings (section 6.5.2).
const (
	setTable   = 0x1
	setPush    = 0x2
	setStreams = 0x3
	setWindow  = 0x4
	setFrame   = 0x5
	setList    = 0x6
)

// greet writes the settings of this side, with one of its role.
func (c *Conn) greet(id, v uint32) {
	s := [...][2]uint32{{id, v}, {setWindow, uint32(c.cfg.Window)}, {setList, uint32(c.cfg.HeadBytes)}}
	c.writeHead(6*len(s), typeSettings, 0, 0)
	for _, v := range s {
		c.out = be32(append(c.out, 0, byte(v[0])), v[1])
	}
	if more := c.recv - initial; more > 0 {
		c.writeUpdate(0, more)
	}
}

func (c *Conn) readSettings(f header, p []byte) {
	c.spend()
	switch {
	case f.has(flagAck) && len(p) > 0:
		c.fail(errAck)
	case f.has(flagAck):
		c.haveOurs()
	case len(p)%6 != 0:
		c.fail(errFrameLength)
	default:
		c.begun = true
		c.apply(p)
	}
}

// haveOurs counts streams' windows anew: the peer has taken them to be 65,535 until now (section 6.9.2).
func (c *Conn) haveOurs() {
	if c.acked {
		return
	}
	c.acked = true
	for st := range c.streams.all {
		st.recv += int64(c.cfg.Window) - initial
	}
}

// apply takes settings in their order; of a window's initial size the last holds, so that each frame costs one look at all
// streams.
func (c *Conn) apply(p []byte) {
	window := c.peer.window
	for ; len(p) > 0; p = p[6:] {
		var e *Error
		switch v := binary.BigEndian.Uint32(p[2:]); binary.BigEndian.Uint16(p) { // ones that nobody knows are ignored
		case setPush:
			if v > 1 || v == 1 && c.client {
				e = errPush
			}
		case setStreams:
			c.peer.streams = v
		case setWindow:
			if window = int64(v); window > maxWindow {
				e = errWindowSetting
			}
		case setFrame:
			if v < maxFrame || v > 1<<24-1 {
				e = errFrameSetting
			}
		case setList:
			c.peer.list = v
		}
		if e != nil {
			c.fail(e)
			return
		}
	}
	c.answer(typeSettings, nil)
	if delta := window - c.peer.window; delta != 0 {
		c.peer.window = window
		c.resize(delta)
	}
}

// resize changes what may be sent on all streams, which may get negative (section 6.9.2).
func (c *Conn) resize(delta int64) {
	for st := range c.streams.all {
		if st.window+delta > maxWindow {
			c.fail(errWindowsGrow)
			return
		}
		st.window += delta
		c.schedule(st)
	}
}
