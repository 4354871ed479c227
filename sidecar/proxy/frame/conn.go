package frame

import (
	"time"

	"golang.org/x/net/http2/hpack"
)

// Field is a field line. Sensitive says nothing: no field that is sent gets into a table of HPACK.
type Field = hpack.HeaderField

// Fields are fields to be sent.
type Fields []Field

// Field adds one.
func (l *Fields) Field(name, value string) { *l = append(*l, Field{Name: name, Value: value}) }

// Conn is the protocol's state of one connection. It belongs to one goroutine.
type Conn struct {
	cfg    Config
	h      Handler
	pool   *Pool
	client bool
	err    *Error

	streams Streams[stream]
	recent  *stream // was looked up last
	closed  memory
	opened  uint32 // the highest number that was opened, by whoever opens them here
	limit   uint32 // streams beyond it are not served, since GOAWAY said so
	drain   drainStep
	away    bool // the peer has sent GOAWAY
	peer    settings

	// What comes.
	preface int  // bytes of the preface that have come
	begun   bool // the peer's SETTINGS have come
	acked   bool // the peer has ours
	now     reading
	heading uint32 // the stream of a HEADERS frame that has not come as a whole; 0: there is none
	block   gathering
	table   table
	long    *long // nil: none has come
	size    int   // of the fields that were decoded
	others  int   // how many, pseudo-fields left out, a cookie being one
	crumbs  int   // how many the cookie comes in
	over    bool  // they exceed a limit
	budget  budget

	// Windows of the connection.
	window  int64  // what may be sent
	owed    int64  // what was sent, and the peer may open windows by
	recv    int64  // what may come
	pending int64  // what was taken and the peer was not told of
	lent    int64  // what the window was opened for although it was not taken
	carried uint64 // DATA that was sent
	late    int64  // what may be on its way to streams that have ended here

	// What goes.
	told    bool      // the peer has been told that its table stays empty
	out     []byte    // not written yet
	answers int       // to PING and SETTINGS in the output
	ready   []*stream // could send DATA and wait for their turn
}

// settings are the peer's.
type settings struct {
	streams uint32
	window  int64
	list    uint32
}

// NewServer returns the state of a connection that a client has opened.
func NewServer(cfg Config, pool *Pool, h Handler) *Conn {
	c := newConn(cfg, pool, h)
	c.greet(setStreams, c.cfg.Streams)
	return c
}

// NewClient returns the state of a connection to a server.
func NewClient(cfg Config, pool *Pool, h Handler) *Conn {
	c := newConn(cfg, pool, h)
	c.client, c.preface = true, len(Preface)
	c.out = append(c.pool.buffer(len(Preface)), Preface...)
	c.greet(setPush, 0)
	return c
}

// Preface is what a client begins with (section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const maxID = 1<<31 - 1

func newConn(cfg Config, pool *Pool, h Handler) *Conn {
	c := &Conn{
		cfg: cfg.withDefaults(), pool: pool, h: h, window: initial, limit: maxID,
		// 100 is what section 6.5.2 recommends as the least; nothing is known before SETTINGS have come.
		peer: settings{streams: 100, window: initial, list: 1<<32 - 1},
	}
	c.recv = int64(c.cfg.ConnWindow)
	c.table.most = tableMost
	return c
}

// Feed takes what has been read and returns how much of it: the rest has to come again, with more behind it. No more than
// 16 KiB and 9 bytes are left, unless a server's Output has to be written first; see Full. An error, which is an *Error,
// ends the connection: the Handler is told of nothing more, not of its streams either, and what Output returns should still
// be written.
func (c *Conn) Feed(p []byte, now time.Time) (n int, err error) {
	c.budget.turn(now.Unix(), &c.cfg)
	for c.err == nil && n < len(p) && !c.Full() {
		k := c.step(p[n:])
		if k == 0 {
			break
		}
		n += k
	}
	c.fill()
	if c.err != nil {
		return n, c.err
	}
	return n, nil
}

// Greeted says that the peer's SETTINGS have come.
func (c *Conn) Greeted() bool { return c.begun }

// Awaits tells what the peer has begun and should end before long: the number of a stream whose head, or trailers, have not come as a whole; 0:
// nothing. It is none of a stream's as long as the peer has not greeted.
func (c *Conn) Awaits() uint32 {
	switch {
	case !c.begun:
		return maxID + 1
	case c.block.id != 0:
		return c.block.id
	}
	return c.heading
}

// Full says that a client does not read what it gets, so that Feed takes nothing from it. A client's own Conn is never full:
// of two that wait for each other to read, neither would.
func (c *Conn) Full() bool { return !c.client && len(c.out) >= outFull }

// Output returns what has to be written. It is valid until another method is called.
func (c *Conn) Output() []byte { return c.out }

// Wrote says that all of Output has been written. The Handler may be told what was sent.
func (c *Conn) Wrote() {
	c.pool.put(c.out)
	c.out, c.answers = nil, 0
	c.fill()
}

// Close gives storage back to the pool. The Conn must not be used any more.
func (c *Conn) Close() {
	for st := c.streams.Pop(); st != nil; st = c.streams.Pop() {
		c.pool.drop(st)
	}
	c.pool.put(c.out)
	c.pool.put(c.block.bytes)
	*c = Conn{err: c.err}
}

// find returns an open stream, or nil.
func (c *Conn) find(id uint32) *stream {
	if c.recent == nil || c.recent.id != id {
		c.recent = c.streams.Get(id)
	}
	return c.recent
}

// open makes a stream. Its number is higher than those before.
func (c *Conn) open(id uint32) *stream {
	st := c.pool.stream(id)
	st.window, st.left, st.recv = c.peer.window, -1, int64(c.cfg.Window)
	if !c.acked { // it may not know of ours yet
		st.recv = initial
	}
	c.streams.Add(id, st)
	c.recent, c.opened = st, id
	return st
}

// forget ends a stream. Bytes of it that wait for somebody are not waited for.
func (c *Conn) forget(st *stream, h how) {
	c.closed.add(st.id, h)
	if h == byUs && !bool(st.received) {
		window := st.recv
		if !c.acked { // it may get to know of ours meanwhile
			window += int64(c.cfg.Window) - initial
		}
		c.expect(window)
	}
	c.unschedule(st)
	c.credit(st.held - st.lent)
	c.lent -= st.lent
	c.streams.Remove(st.id)
	c.recent = nil
	c.pool.drop(st)
}

// expect notes that a peer which does not know yet that a stream has ended may be sending what its window had allowed.
func (c *Conn) expect(window int64) {
	c.late = min(c.late+max(window, 0), c.recv)
}

// fail ends the connection.
func (c *Conn) fail(e *Error) {
	if c.err != nil {
		return
	}
	c.err = e
	c.pool.put(c.block.bytes)
	c.block = gathering{}
	last := c.opened
	if c.client { // nothing is pushed
		last = 0
	}
	c.writeGoAway(last, e.Code, e.Error())
}

// Refuse ends the connection for something that its owner sees: one of the errors of this package. It returns the error.
func (c *Conn) Refuse(e *Error) error {
	c.fail(e)
	return e
}

// refuse resets a stream for a mistake of the peer's. Nothing of it may be used afterwards.
func (c *Conn) refuse(id uint32, e *Error) {
	if !c.client && e != errRefused { // an attacker has the server reset streams as well as itself (CVE-2025-8671)
		c.countReset()
	}
	if c.err == nil {
		c.reset(id, e.Code)
		c.h.Reset(id, e.Code, e)
	}
}

// reset ends a stream from here.
func (c *Conn) reset(id uint32, code Code) {
	c.writeHead(4, typeReset, 0, id)
	c.out = be32(c.out, uint32(code))
	if st := c.find(id); st != nil {
		c.forget(st, byUs)
	} else {
		c.closed.add(id, byUs)
	}
}

// receivedAll notes that the peer has ended a stream. Nothing of it may be used afterwards.
func (c *Conn) receivedAll(st *stream) {
	st.received = Last
	if bool(st.sent) {
		c.forget(st, ended)
	}
}

// sentAll notes that END_STREAM is in the output. Nothing of the stream may be used afterwards.
func (c *Conn) sentAll(st *stream) {
	st.sent = Last
	switch {
	case bool(st.received):
		c.forget(st, ended)
	case !c.client: // what else the client has to say would not be read (section 8.1)
		c.reset(st.id, NoError)
	}
}

// budget is what the peer may still do in this second that wears down.
type budget struct {
	second         int64
	frames, resets int
}

func (b *budget) turn(second int64, cfg *Config) {
	if b.second != second {
		*b = budget{second: second, frames: cfg.Frames, resets: cfg.Resets}
	}
}

// spend counts a frame that moves nothing.
func (c *Conn) spend() {
	if c.budget.frames--; c.budget.frames < 0 {
		c.fail(errFlood)
	}
}

// earn counts one that does: who sends or takes data sends PING and WINDOW_UPDATE beside it.
func (c *Conn) earn() { c.budget.frames = min(c.budget.frames+2, c.cfg.Frames) }

func (c *Conn) countReset() {
	if c.budget.resets--; c.budget.resets < 0 {
		c.fail(errResets)
	}
}
