package relay

import "net"

// HTTP2Conn is a client connection of HTTP/2. Go's server reads each frame in two pieces; this reads what has come at once,
// and holds a buffer only while there is something in it.
type HTTP2Conn struct {
	net.Conn
	in stream // of the reading goroutine
}

// NewHTTP2Conn returns a connection that reads c, and before that what has been read of it.
func NewHTTP2Conn(c net.Conn, read []byte) *HTTP2Conn {
	h := &HTTP2Conn{Conn: c}
	h.in.init(c, smallBlock)
	if len(read) > 0 {
		h.in.buf.reserve(len(read))
		h.in.buf.w = copy(h.in.buf.free(), read)
	}
	return h
}

// Read implements net.Conn. Nobody may read at the same time.
func (h *HTTP2Conn) Read(b []byte) (int, error) {
	in := &h.in
	if in.buf.len() == 0 {
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, in.buf.bytes())
	in.buf.take(n)
	in.buf.release()
	return n, nil
}
