package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// preface starts an HTTP/2 connection with prior knowledge (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// conn is a client connection. One goroutine serves it; others look at what mu guards.
type conn struct {
	relay *Relay
	info  Info
	net   net.Conn
	tcp   *net.TCPConn // nil under TLS
	in    stream       // from the client; a body that is being sent on has it while it runs
	peer  peer         // what is said of the client to the app
	body  bodyPace
	first bool // no head has been read yet

	answer []byte                // the end of an answer that is still to be written; a block
	step   func(fd uintptr) bool // c.served, made once
	inside bool                  // step runs: nothing else may read from the client
	over   bool                  // no other request is to be served

	mu        sync.Mutex
	phase     phase     // guarded by mu
	since     int64     // guarded by mu: when the phase began, by the sweep's clock
	acked     uint64    // guarded by mu: bytes that the client had taken when it was last asked
	goneSince int64     // guarded by mu: when the client was first seen to have closed its side
	expects   bool      // guarded by mu: the client waits to be asked for its body
	until     int64     // guarded by mu: when what is going on ends, in Unix nanoseconds; 0: whenever
	tunnel    *upgraded // guarded by mu: what the connection is once it has been upgraded
	end       ending    // guarded by mu
	up        *upstream // guarded by mu for the sweep; the serving goroutine alone sets it but for idle ones
}

func newConn(r *Relay, nc net.Conn, info Info) *conn {
	c := &conn{relay: r, info: info, net: nc, first: true, since: r.tick.Load()}
	c.tcp, _ = nc.(*net.TCPConn)
	c.in.init(nc, smallBlock/2)
	c.step = c.served
	c.peer = newPeer(info, r.Trusts != nil && r.Trusts(info.Remote))
	return c
}

// serve serves requests until the connection ends. It reports whether the connection is HTTP/2's from now on.
func (c *conn) serve() (http2 bool) {
	defer c.giveBack(&http2)
	for {
		n, err := c.readHead()
		switch {
		case err == errHTTP2: //nolint:errorlint // our own
			return true
		case err != nil:
			c.refuseHead(err)
			return false
		case n == 0:
			return false
		}
		x := newExchange(c)
		again := x.serve(n)
		x.release()
		if !again {
			c.flush()
			return false
		}
		c.in.buf.release()
		if c.in.raw != nil && c.in.buf.len() == 0 && !c.steady() {
			return false
		}
	}
}

// giveBack gives back what the connection holds. After a panic that is nothing but the sockets, since a goroutine that sends
// a body on may still use the buffers.
func (c *conn) giveBack(http2 *bool) {
	c.mu.Lock()
	up := c.up
	c.up = nil
	c.mu.Unlock()
	if c.relay.recovered(recover()) {
		c.abort()
		if up != nil {
			up.close()
		}
		*http2 = false
		return
	}
	if up != nil {
		up.discard()
	}
	if !*http2 {
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

// readHead reads until a head is complete and returns its length; 0 when there is none any more. An error is of package
// head and says why the head is refused, or errHTTP2.
func (c *conn) readHead() (int, error) {
	p := phaseIdle
	switch {
	case c.in.buf.len() > 0:
		p = phaseHead
	case c.first:
		p = phaseFresh
	}
	if !c.flush() || !c.enter(p) {
		return 0, nil
	}
	scanned, blank := 0, false
	for {
		b := c.in.buf.bytes()
		if !blank && len(b) >= 2 && string(b[:2]) == "\r\n" {
			c.in.buf.take(2) // one empty line is ignored (RFC 9112 section 2.2)
			blank, scanned = true, 0
			continue
		}
		if n, err := c.scan(b, scanned); n > 0 || err != nil {
			return n, err
		}
		if scanned = len(b); scanned > 0 && p.silent() {
			p = phaseHead
			c.enter(p) // if it has been ended, fill says so
		}
		if c.in.fill() != nil {
			return 0, nil //nolint:nilerr // documented
		}
	}
}

// scan looks for the end of a head; the first scanned bytes have been looked at.
func (c *conn) scan(b []byte, scanned int) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if c.first && isPreface(b) {
		if len(b) >= len(preface) {
			return 0, errHTTP2
		}
	} else if end := head.End(b, scanned); end > 0 {
		c.first = false
		return end, nil
	}
	return 0, head.Check(b, scanned, c.relay.Limits.Head)
}

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

// isPreface reports whether the bytes are the start of HTTP/2's preface, as far as there are any.
func isPreface(b []byte) bool {
	n := min(len(b), len(preface))
	return string(b[:n]) == preface[:n]
}

// refuseHead answers a head that breaks the grammar, and ends the connection: nobody knows where the next one begins.
func (c *conn) refuseHead(err error) {
	x := newExchange(c)
	defer x.release()
	x.reject(err)
}

// reasons maps what is wrong with a message to a reason, where it is not BadRequest. It is read only.
var reasons = map[head.Error]decision.Reason{
	head.ErrTooLarge: decision.TooLarge, head.ErrTarget: decision.URITooLong, head.ErrBody: decision.BodyTooLarge,
	head.ErrHost: decision.BadHost, head.ErrHostMismatch: decision.BadHost,
	head.ErrAuthorization: decision.DuplicateAuthorization,
}

// reasonOf maps what is wrong with a head or a body to a reason.
func reasonOf(err error) decision.Reason {
	var bad head.Error
	if errors.As(err, &bad) {
		if r, ok := reasons[bad]; ok {
			return r
		}
	}
	return decision.BadRequest
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

// writeBoth writes two pieces to the client, with one call where that is possible.
func (c *conn) writeBoth(x *exchange, first, second []byte) error {
	if c.tcp == nil || len(first) == 0 || len(second) == 0 {
		if err := c.write(first); err != nil {
			return err
		}
		return c.write(second)
	}
	if !c.enter(phaseWriting) {
		return net.ErrClosed
	}
	x.pieces = [2][]byte{first, second}
	x.both = x.pieces[:]
	_, err := x.both.WriteTo(c.tcp)
	return err
}

// linger lets a client read its answer before what it still sends makes the kernel reset the connection (RFC 9112
// section 9.6).
func (c *conn) linger() {
	const (
		patience = 500 * time.Millisecond
		most     = 16 << 20 // a client that sends a large body reads the answer when it has sent it
	)
	w, ok := c.net.(interface{ CloseWrite() error })
	if c.inside || !ok || !c.enter(phaseBusy) || w.CloseWrite() != nil || c.net.SetReadDeadline(time.Now().Add(patience)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.net, most) // it ends at the client's close, the deadline or the bound
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
