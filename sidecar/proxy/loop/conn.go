package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// Ready is what has become of a descriptor.
type Ready uint8

// The kinds of readiness.
const (
	Readable   Ready = 1 << iota // bytes, the end or an error can be read
	Writable                     // the kernel takes more
	HalfClosed                   // the peer sends no more; it may still listen
	Gone                         // the connection is no more
)

// Handler serves a connection. Its methods are called on the connection's loop.
type Handler interface {
	// Connected is called once for a connection made by Dial, with the reason why there is none: then nothing else is called.
	Connected(c *Conn, err error)
	// Readable is called when there may be something to Read, which stays there until it is read: there is no call for what
	// was left in an earlier one, unless Again asks for it. It is also called when Side has changed.
	Readable(c *Conn)
	// Drained is called when all that was queued has been written.
	Drained(c *Conn)
	// Failed is called when a write has failed, and after a panic in one of the other methods. The connection is closed when it
	// returns, but for ReadOn.
	Failed(c *Conn, err error)
}

// Nobody is the handler of a connection that nobody serves yet.
type Nobody struct{}

// Connected implements Handler.
func (Nobody) Connected(*Conn, error) {}

// Readable implements Handler.
func (Nobody) Readable(*Conn) {}

// Drained implements Handler.
func (Nobody) Drained(*Conn) {}

// Failed implements Handler.
func (Nobody) Failed(*Conn, error) {}

// Conn is a connection of a loop. Only what runs on the loop may use it.
type Conn struct {
	loop    *Loop
	handler Handler
	tls     *secured        // nil: there is none
	out     Buffer          // to be written before anything else
	pipe    *pipe           // what it holds is written after the first bytes of out; nil: it would hold nothing
	dialled *netip.AddrPort // what is being connected to; nil: nothing
	ahead   uint32          // how many bytes of out go before the pipe
	fd      int32           // -1: closed
	id      uint32
	state   state
	side    Ready // HalfClosed and Gone, as far as they are known
}

type state uint16

const (
	connecting state = 1 << iota
	readable         // the kernel may have something to be read
	repeating        // is among Loop.again
	rereads          // wants to be called again
	corked           // what is written is queued, until the turn ends
	shutting         // once all has been written the writing side is shut down
	ending           // once all has been written the connection is closed
	failed           // a write has failed: nothing more is written
	spoken           // and what the peer has said before is still read
	wrote            // something has been written since Mark
	reset            // by the peer, as a write has been told; who reads is told of an end instead
	draining         // all has been written, or can be, which Handler.Drained is to be told
	unwanted         // it has been closed, and its handler is told nothing more
)

// Add gives the loop a connected socket that does not block, which is the loop's from then on. With an error it is closed.
func (l *Loop) Add(fd int, h Handler) (*Conn, error) {
	c := &Conn{loop: l, handler: h, fd: int32(fd)} //nolint:gosec // it is one
	l.take(c)
	if err := l.poll.add(fd, c.id); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Handle has another handler serve the connection.
func (c *Conn) Handle(h Handler) { c.handler = h }

// Closed reports whether the connection has been closed.
func (c *Conn) Closed() bool { return c.fd < 0 }

// Side is what is known of the peer: HalfClosed, Gone, or 0.
func (c *Conn) Side() Ready { return c.side }

// happens takes in what the poller has found.
func (c *Conn) happens(r Ready) {
	defer c.recover()
	if c.state&connecting != 0 {
		if r&(Writable|Gone) == 0 {
			return
		}
		c.connected()
	}
	c.side |= r & (HalfClosed | Gone)
	if r&Writable != 0 && !c.Closed() && c.state&corked == 0 { // else the turn's end does it, when what has come is known
		c.flush()
	}
	if r&Readable != 0 && !c.Closed() {
		c.state |= readable
		c.handler.Readable(c)
	}
}

// repeat is another turn.
func (c *Conn) repeat() {
	defer c.recover()
	was := c.state
	c.state &^= repeating | rereads | corked
	if c.Closed() {
		return
	}
	if was&corked != 0 {
		c.flush()
	}
	if was&rereads != 0 && !c.Closed() {
		c.handler.Readable(c)
	}
}

// Guard runs something that belongs to the connection, and ends the connection if it panics. What is posted, and a Timer without a connection,
// is not guarded by itself.
func (c *Conn) Guard(do func()) {
	defer c.recover()
	do()
}

// recover ends a connection whose handler has panicked.
func (c *Conn) recover() {
	if recover() == nil {
		return
	}
	if c.loop.panicked != nil {
		c.loop.panicked(debug.Stack())
	}
	defer func() { _ = recover() }()
	c.breaks(errPanicked)
}

// breaks ends the connection in the middle of anything, and tells who serves it. That may give it back to who has served it before.
func (c *Conn) breaks(err error) {
	defer func() {
		if h, ok := c.handler.(*handshake); !ok || h.below.shaken { // else the descriptor is in use: it has been cut, and ends soon
			c.Reset()
		}
	}()
	for h := Handler(nil); c.handler != h && (h == nil || !c.Closed()); {
		h = c.handler
		h.Failed(c, err)
	}
}

var errPanicked = errors.New("what serves the connection has panicked")

// Again has Readable be called in the next turn, before the loop waits.
func (c *Conn) Again() { c.turn(rereads) }

// Look is Again where something may have come that the loop has not been told of yet.
func (c *Conn) Look() {
	c.state |= readable
	c.Again()
}

func (c *Conn) turn(why state) {
	if c.Closed() {
		return
	}
	if c.state&repeating == 0 {
		c.loop.again = append(c.loop.again, c)
	}
	c.state |= repeating | why
}

// Unread reports whether something is known to have come that has not been read. Over TLS, the beginning of it is lost then.
func (c *Conn) Unread() bool { return c.state&readable != 0 || c.tls != nil && c.tls.holds() }

// Read returns bytes that have come, which are valid until the next Read on the loop: none if none have, io.EOF once the peer has
// closed its side. The caller reads on until there are none, or calls Again later.
func (c *Conn) Read() ([]byte, error) { return c.ReadMost(LargeBlock) }

// ReadMost is Read of up to most bytes.
func (c *Conn) ReadMost(most int) ([]byte, error) {
	n, err := c.read(c.loop.in[:min(most, Room())])
	return c.loop.in[:n], err
}

func (c *Conn) read(b []byte) (int, error) {
	if c.tls != nil {
		return c.tls.read(b)
	}
	return c.take(b)
}

// take reads from the socket.
func (c *Conn) take(b []byte) (int, error) {
	if c.state&readable == 0 || c.Closed() {
		return 0, nil
	}
	n, errno := recv(int(c.fd), b)
	switch {
	case errno == syscall.EAGAIN:
		c.state &^= readable
		return 0, nil
	case errno != 0:
		c.side |= Gone
		return 0, os.NewSyscallError("read", errno)
	case n == 0:
		return 0, c.end()
	}
	if n < len(b) && c.side == 0 {
		c.state &^= readable // that was all; what comes now is a new edge
	}
	return n, nil
}

// end is the error of reading at the end.
func (c *Conn) end() error {
	if c.state&reset != 0 {
		c.side |= Gone
		return os.NewSyscallError("read", syscall.ECONNRESET)
	}
	c.side |= HalfClosed
	return io.EOF
}

// forget closes the socket.
func (c *Conn) forget() {
	c.state |= unwanted
	c.out.Drop() // also of a dial that has failed at once
	c.dropPipe()
	if c.Closed() {
		return
	}
	_ = unix.Close(int(c.fd))
	c.fd = -1
	c.loop.leave(c)
}

// Close closes the connection at once; what is queued is lost. The handler is not told.
func (c *Conn) Close() {
	if c.tls != nil && !c.Closed() {
		c.tls.close()
	}
	c.forget()
}

// muchOwed is how many bytes a peer has yet to take that may be at fault for that: the kernel would hold them for minutes.
const muchOwed = 16 << 10

// Drop is Close where the peer may be at fault: what it has yet to take is lost as well, if that is much.
func (c *Conn) Drop() {
	if !c.Closed() && c.owed() > muchOwed {
		c.unlinger()
	}
	c.Close()
}

// Reset closes the connection so that the peer cannot take it for an orderly end.
func (c *Conn) Reset() {
	if !c.Closed() {
		c.unlinger()
	}
	c.forget()
}

// unlinger has the kernel forget the connection when it is closed, with all that it holds for it.
func (c *Conn) unlinger() {
	_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// opError is an error as package net makes them, so that nobody need tell ours from theirs.
func opError(op string, to netip.AddrPort, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
}
