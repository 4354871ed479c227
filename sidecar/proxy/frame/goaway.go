package frame

import "encoding/binary"

// drainStep is how far a connection is in its end.
type drainStep uint8

const (
	serving  drainStep = iota
	draining           // the client knows, and some of its requests may be on their way
	drained            // no new streams are served
)

const drainPing = "goodbye!" // 8 bytes

// Drain tells a client that the connection ends and lets what runs run, in two steps, so that what the client sent before it
// knew is served (section 6.8): the second follows when the client has answered, or when Drain is called again. Drained then
// says when the connection can be closed.
func (c *Conn) Drain() {
	switch {
	case c.err != nil || c.drain == drained:
	case c.drain == serving:
		c.drain = draining
		c.writeGoAway(maxID, NoError, "")
		c.writeHead(8, typePing, 0, 0)
		c.out = append(c.out, drainPing...)
	default:
		c.GoAway()
	}
}

// Drained says that GOAWAY has named the last stream and no stream runs any more.
func (c *Conn) Drained() bool { return c.drain == drained && c.streams.Len() == 0 }

// Farewell is what a client gets whose connection is not served: a server's first frame, and its last (sections 3.4 and 6.8).
func Farewell(code Code, debug string) []byte {
	c := Conn{pool: &Pool{}}
	c.writeHead(0, typeSettings, 0, 0)
	c.writeGoAway(0, code, debug)
	return c.out
}

// GoAway refuses new streams of a client's at once. Those that run go on.
func (c *Conn) GoAway() {
	if c.err == nil {
		c.drain, c.limit = drained, c.opened
		c.writeGoAway(c.limit, NoError, "")
	}
}

func (c *Conn) writeGoAway(last uint32, code Code, debug string) {
	c.writeHead(8+len(debug), typeGoAway, 0, 0)
	c.out = append(be32(be32(c.out, last), uint32(code)), debug...)
}

// readGoAway tells a client's streams that the server has not looked at.
func (c *Conn) readGoAway(p []byte) {
	if len(p) < 8 {
		c.fail(errFrameLength)
		return
	}
	if c.spend(); c.err != nil {
		return
	}
	last := binary.BigEndian.Uint32(p) & maxID
	if c.away = true; !c.client {
		return
	}
	for st := c.streams.last(); st != nil && st.id > last; st = c.streams.last() {
		id := st.id
		c.forget(st, byUs) // what comes on it is on its way
		c.h.Reset(id, RefusedStream, nil)
	}
}
