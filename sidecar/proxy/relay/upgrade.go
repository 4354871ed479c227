package relay

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// switchProtocols passes on the app's 101 answer, whose head is the first n bytes that u holds. The connection is a tunnel
// from then on.
func (x *exchange) switchProtocols(u *upstream, n int) (again bool) {
	c := x.c
	if x.upgrade == "" || !strings.EqualFold(string(x.res.Upgrade), x.upgrade) {
		return x.fail("", head.ErrStatusLine) // nobody asked for it
	}
	if c.in.buf.len() > 0 {
		// They may have been meant as a next request, which nobody has judged, or as the new protocol's.
		x.discardUpstream()
		return x.reject(head.ErrRequestLine)
	}
	out := x.out[:0]
	if x.answer != "" && !x.names101() {
		x.res.Fields = append(x.res.Fields, head.Field{Name: []byte("Sec-WebSocket-Protocol"), Value: []byte(x.answer)})
	}
	out = x.writeResponse(out, frameNone, keepAlive)
	u.in.buf.take(n)
	t := &tunnel{conn: c, app: u, client: &upgraded{Conn: c.net, in: &c.in, websocket: strings.EqualFold(x.upgrade, "websocket")}}
	c.relay.upgrades.add(t.client)
	c.mu.Lock()
	c.tunnel = t
	c.mu.Unlock()
	if !c.enter(phaseUpgraded) || !t.client.answer(out) {
		t.fail()
	}
	return false
}

// names101 reports whether the app's answer names a subprotocol.
func (x *exchange) names101() bool {
	for i := range x.res.Fields {
		if strings.EqualFold(text(x.res.Fields[i].Name), "Sec-WebSocket-Protocol") {
			return true
		}
	}
	return false
}

// tunnel copies both ways until both ends have closed their sides. Each direction ends by itself, so that an end may close
// its side and still listen.
type tunnel struct {
	conn   *conn
	client *upgraded
	app    *upstream
	ended  atomic.Int32 // directions
}

// run copies until there is nothing to do.
func (t *tunnel) run() {
	go t.upload()
	t.download()
}

func (t *tunnel) upload()   { t.carry(t.app.conn, &t.conn.in, t.upload, t.closeApp) }
func (t *tunnel) download() { t.carry(t.client, &t.app.in, t.download, t.client.CloseWrite) }

// carry copies in one direction. After the end of what is read it calls close; again is carry itself, for when there is
// something after a long wait.
func (t *tunnel) carry(to io.Writer, from *stream, again func(), end func() error) {
	for {
		err := t.pour(to, from)
		if err == errParked { //nolint:errorlint // our own
			if from.park(again) {
				return
			}
			continue
		}
		if err != nil || end() != nil {
			t.fail()
		}
		break
	}
	if t.ended.Add(1) == 2 {
		t.close()
	}
}

// pour is the function of that name, and survives a panic.
func (t *tunnel) pour(to io.Writer, from *stream) (err error) {
	defer func() {
		if t.conn.relay.recovered(recover()) {
			err = io.ErrClosedPipe
		}
	}()
	return pour(to, from)
}

// closeApp tells the app that no more comes.
func (t *tunnel) closeApp() error {
	w, ok := t.app.conn.(interface{ CloseWrite() error })
	if !ok {
		return net.ErrClosed
	}
	_ = w.CloseWrite() // closed already, if it fails
	return nil
}

// fail ends both directions.
func (t *tunnel) fail() {
	_ = t.client.Close()
	t.app.abort()
}

// close closes everything. Nothing reads or writes any more.
func (t *tunnel) close() {
	c := t.conn
	_ = t.client.Close()
	c.setUpstream(nil)
	t.app.discard()
	c.in.buf.take(c.in.buf.len())
	c.in.buf.release()
	c.close()
}

// pour writes what a stream holds and reads until its end, or returns errParked. It holds no buffer while nothing comes.
func pour(to io.Writer, from *stream) error {
	from.want = mediumBlock
	for {
		if b := from.buf.bytes(); len(b) > 0 {
			if _, err := to.Write(b); err != nil {
				return err
			}
			from.buf.take(len(b))
			from.buf.release()
		}
		if err := from.await(); err != nil {
			if err == io.EOF { //nolint:errorlint // fill returns it as it is
				return nil
			}
			return err
		}
	}
}

// upgraded is a client connection after the switch of protocols.
type upgraded struct {
	net.Conn
	in        *stream // what reads from it
	websocket bool
	owner     *upgrades
	once      sync.Once
	leaving   atomic.Uint32 // the status of the close frame to send; 0: none

	mu       sync.Mutex // held while writing to the client
	answered bool       // the 101 answer has been written
	frames   ends.Frames
	closed   bool // a close frame has been sent: nothing may follow
}

// answer writes the 101 answer, which must be out before a close frame may follow.
func (u *upgraded) answer(b []byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, err := u.Conn.Write(b); err != nil {
		return false
	}
	u.answered = true
	if u.leaving.Load() != 0 {
		u.sendClose()
	}
	return true
}

// Write writes what the app sends to the client. Once the proxy drains, a WebSocket gets a close frame after the frame
// that is being sent, and nothing more.
func (u *upgraded) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return len(p), nil
	}
	if !u.websocket {
		return u.Conn.Write(p)
	}
	for off := 0; off < len(p); {
		part := p[off : off+u.frames.Scan(p[off:])]
		if n, err := u.Conn.Write(part); err != nil {
			return off + n, err
		}
		off += len(part)
		if u.leaving.Load() != 0 && u.sendClose() {
			return len(p), nil
		}
	}
	return len(p), nil
}

// Status codes of close frames (RFC 6455 section 7.4.1).
const (
	closeGoingAway = 1001
	closePolicy    = 1008
)

// leave asks the client of a WebSocket to go.
func (u *upgraded) leave(status uint32) {
	u.leaving.Store(status)
	if u.mu.TryLock() { // else Write is at it and will see
		u.sendClose()
		u.mu.Unlock()
	}
}

// sendClose sends a close frame unless a frame is half sent or
// the app has closed already. The client's own close frame, which it must answer with, tells the app.
func (u *upgraded) sendClose() bool {
	if !u.websocket || !u.answered || u.closed || u.frames.Inside() || u.frames.Closing {
		return u.closed
	}
	u.closed = true
	status := u.leaving.Load()
	_, _ = u.Conn.Write([]byte{0x88, 2, byte(status >> 8), byte(status)}) // if the client is gone, all is well
	return true
}

// CloseWrite shuts down the writing side. After a close frame that is the end: a WebSocket's server closes first
// (RFC 6455 section 7.1.1).
func (u *upgraded) CloseWrite() error {
	u.mu.Lock()
	over := u.closed || u.websocket && u.frames.Closing
	u.mu.Unlock()
	if over {
		return u.Close()
	}
	if w, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return u.Conn.Close()
}

// Close closes the connection.
func (u *upgraded) Close() error {
	u.once.Do(func() {
		u.owner.remove(u)
		u.in.end(past)
	})
	return u.Conn.Close()
}

// upgrades are the connections that have been upgraded. The zero value is ready.
type upgrades struct {
	mu      sync.Mutex
	open    map[*upgraded]struct{}
	leaving bool
}

func (s *upgrades) add(u *upgraded) {
	s.mu.Lock()
	u.owner = s
	if s.open == nil {
		s.open = map[*upgraded]struct{}{}
	}
	s.open[u] = struct{}{}
	leaving := s.leaving
	s.mu.Unlock()
	if leaving {
		u.leaving.Store(closeGoingAway) // the close frame follows the answer
	}
}

func (s *upgrades) remove(u *upgraded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, u)
}

func (s *upgrades) all() []*upgraded {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*upgraded, 0, len(s.open))
	for u := range s.open {
		out = append(out, u)
	}
	return out
}

// goAway asks all clients to go, and those that come from now on.
func (s *upgrades) goAway() {
	s.mu.Lock()
	s.leaving = true
	s.mu.Unlock()
	for _, u := range s.all() {
		u.leave(closeGoingAway)
	}
}

func (s *upgrades) closeAll() {
	for _, u := range s.all() {
		_ = u.Close()
	}
}
