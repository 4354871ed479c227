package relay

import (
	"bytes"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// conn is a client connection. One goroutine serves it; others look at what mu guards.
type conn struct {
	relay *Relay
	info  Info
	net   net.Conn
	tcp   *net.TCPConn // nil under TLS
	tls   *secured     // nil where nothing of TLS can be parked
	in    stream       // from the client; a body that is being sent on has it while it runs
	out   wait         // for writing to it
	peer  peer         // what is said of the client to the app
	body  bodyPace
	first bool // no head has been read yet

	answer  []byte                // the end of an answer that is still to be written; a block
	step    func(fd uintptr) bool // c.served, made once
	inside  bool                  // step runs: nothing else may read from the client
	resting bool                  // step has entered phaseIdle
	over    bool                  // no other request is to be served
	seeking seeking               // how far the next head has been looked for
	waiting *exchange             // what waits without a goroutine for the app, or for the client to take its answer
	release func()                // gives back what the connection counts for

	mu        sync.Mutex
	phase     phase     // guarded by mu
	since     int64     // guarded by mu: when the phase began, by the sweep's clock
	acked     uint64    // guarded by mu: bytes that the client had taken when it was last asked
	goneSince int64     // guarded by mu: when the client was first seen to have closed its side
	expects   bool      // guarded by mu: the client waits to be asked for its body
	until     int64     // guarded by mu: when what is going on ends, in Unix nanoseconds; 0: whenever
	tunnel    *tunnel   // guarded by mu, the serving goroutine alone sets it: what the connection is once it has been upgraded
	end       ending    // guarded by mu
	up        *upstream // guarded by mu for the sweep; the serving goroutine alone sets it but for idle ones
}

func newConn(r *Relay, nc net.Conn, info Info) *conn {
	c := &conn{relay: r, info: info, net: nc, first: true, since: r.tick.Load()}
	c.tcp, _ = nc.(*net.TCPConn)
	if c.tls = secure(nc); c.tls != nil {
		c.net = c.tls
	}
	c.in.init(c.net, smallBlock/2, r.reads)
	if c.out = (wait{conn: c.net, raw: c.in.raw, writing: true}); c.in.lot != nil {
		c.out.lot = r.writes
	}
	c.step = c.served
	c.peer = newPeer(info, r.Trusts != nil && r.Trusts(info.Remote))
	return c
}

// next is what becomes of a connection that its goroutine leaves.
type next uint8

const (
	nextEnd    next = iota
	nextHTTP2       // it is HTTP/2's
	nextTunnel      // it has been upgraded
	nextClient      // the client is waited for without a goroutine
	nextApp         // so is the app's answer
	nextWrite       // so is the client's taking what it is sent
)

// run serves the connection as long as there is something to do.
func (c *conn) run() {
	for {
		switch c.serve() {
		case nextClient:
			if c.in.park(c.run) {
				return
			}
		case nextApp:
			if c.up.in.park(c.run) {
				return
			}
		case nextWrite:
			if c.out.park(c.run) {
				return
			}
		case nextTunnel:
			c.tunnel.run()
			return
		case nextHTTP2:
			c.leave()
			c.relay.HTTP2(c.net, c.rest(), c.info, c.release)
			c.relay.forget(c)
			return
		default:
			c.close()
			return
		}
	}
}

// close closes the connection.
func (c *conn) close() {
	if c.stuck() {
		c.cut()
	}
	c.leave()
	_ = c.net.Close()
	c.release()
	c.relay.forget(c)
}

// leave has nothing be parked any more.
func (c *conn) leave() {
	c.relay.reads.leave(&c.in.wait)
	c.relay.writes.leave(&c.out)
}

// serve serves requests until there is nothing to do.
func (c *conn) serve() (then next) {
	defer c.giveBack(&then)
	for {
		again, err := c.serveNext()
		switch {
		case err == errParked && c.waiting != nil: //nolint:errorlint // our own
			return c.waiting.parked
		case err == errParked: //nolint:errorlint // our own
			return nextClient
		case err == errHTTP2: //nolint:errorlint // our own
			return nextHTTP2
		case err != nil:
			c.refuseHead(err)
			return nextEnd
		case c.tunnel != nil:
			return nextTunnel
		case !again:
			c.flush()
			return nextEnd
		}
	}
}

// serveNext serves the next request, and those after it that are simple. It reports whether there may be another. An error
// is one of readHead.
func (c *conn) serveNext() (again bool, err error) {
	x := c.waiting
	if c.waiting = nil; x != nil {
		again = x.goOn()
	} else {
		n, err := c.readHead()
		if err != nil || n == 0 {
			return false, err
		}
		x = newExchange(c)
		again = x.serve(n)
	}
	if x.parked != nextEnd {
		c.waiting = x
		return false, errParked
	}
	x.release()
	if !again {
		return false, nil
	}
	c.in.buf.release()
	if c.in.plain && c.in.buf.len() == 0 {
		return c.steady()
	}
	return true, nil
}

// giveBack gives back what the connection holds, unless it goes on. After a panic that is nothing but the sockets, since a
// goroutine that sends a body on may still use the buffers.
func (c *conn) giveBack(then *next) {
	p := recover()
	if p == nil && *then > nextHTTP2 {
		return
	}
	c.mu.Lock()
	up := c.up
	c.up = nil
	c.mu.Unlock()
	if c.relay.recovered(p) {
		c.abort()
		if up != nil {
			up.close()
		}
		*then = nextEnd
		return
	}
	if up != nil {
		up.discard()
	}
	if *then != nextHTTP2 {
		c.in.buf.take(c.in.buf.len())
		c.in.buf.release()
	}
}

// recovered reports whether there was a panic, and logs where it happened. What it says is not logged: it may quote a
// request.
func (r *Relay) recovered(p any) bool {
	if p == nil {
		return false
	}
	r.Log.Error(nil, "panic while serving a connection, which is closed", "stack", string(debug.Stack()))
	return true
}

// rest returns what was read and not used.
func (c *conn) rest() []byte {
	b := bytes.Clone(c.in.buf.bytes())
	c.in.buf.take(len(b))
	c.in.buf.release()
	return b
}

type connError string

// Error returns the text.
func (e connError) Error() string { return string(e) }

const errHTTP2 connError = "the client speaks HTTP/2"

// flush writes the end of an answer that has not been written yet.
func (c *conn) flush() bool {
	if c.answer == nil {
		return true
	}
	err := c.write(c.answer)
	drop(c.answer)
	c.answer = nil
	return err == nil
}

// refuseHead answers a head that breaks the grammar, and ends the connection: nobody knows where the next one begins.
func (c *conn) refuseHead(err error) {
	x := newExchange(c)
	defer x.release()
	x.reject(err)
}

// write writes to the client.
func (c *conn) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if !c.enter(phaseWriting) {
		return net.ErrClosed
	}
	_, err := c.net.Write(b)
	return err
}

// Bounds of linger.
const (
	lingerSilent = 500 * time.Millisecond // for a client that sends nothing more
	lingerLong   = 10 * time.Second       // for one that does
	lingerBytes  = 16 << 20               // a client that sends a large body reads the answer when it has sent it
)

// linger lets a client read its answer before what it still sends makes the kernel reset the connection (RFC 9112
// section 9.6). It ends at the client's close or at a bound.
func (c *conn) linger() {
	w, ok := c.net.(interface{ CloseWrite() error })
	if !c.flush() || c.inside || !ok || w.CloseWrite() != nil {
		return
	}
	scratch := grab(smallBlock)
	defer drop(scratch)
	until := time.Now().Add(lingerLong)
	for n := 0; n < lingerBytes; {
		now := time.Now()
		// The deadline first: whoever ends the connection meanwhile sets another, or is seen.
		if now.After(until) || c.net.SetReadDeadline(now.Add(lingerSilent)) != nil || !c.enter(phaseBusy) {
			return
		}
		m, err := c.net.Read(scratch)
		if n += m; err != nil {
			return
		}
	}
}

// abort ends the connection in a way that a client cannot take for the end of an answer.
func (c *conn) abort() {
	if c.tcp != nil {
		_ = c.tcp.SetLinger(0) // a reset, not an end
		return
	}
	c.cut()
}

// cut resets what is below TLS, without the alert that tells of an orderly end (RFC 8446 section 6.1), and does not wait
// for a client that reads nothing to take it.
func (c *conn) cut() {
	t, ok := c.net.(interface{ NetConn() net.Conn })
	if !ok {
		return
	}
	below := t.NetConn()
	if l, ok := below.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = below.Close()
}

// stuck reports whether the connection was ended because the client takes nothing.
func (c *conn) stuck() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end == endNow && c.phase == phaseWriting
}
