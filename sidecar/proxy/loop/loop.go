package loop

import (
	"sync"
	"sync/atomic"
	"time"
)

// Loop runs connections, timers and what is posted. Post, Held and Close may be called by anybody; everything else is for what
// runs on the loop.
type Loop struct {
	poll     *poller
	slots    []*Conn  // by id
	free     []uint32 // ids that can be given again
	left     []uint32 // ids whose connections were closed since the last wait: events for them may still be at hand
	start    time.Time
	now      time.Time
	tick     int64 // now, in ticks
	timers   timers
	again    []*Conn // have more to be read, or something to be flushed
	spare    []*Conn
	in       []byte // what Read reads into
	scratch  []byte // what is composed for TLS
	pipes    pipes
	panicked func(stack []byte)
	tight    bool // the kernel is to hold little for each connection
	works    func(now time.Time)
	work     int // connections that have been served since works was called
	held     atomic.Uint64
	size     atomic.Int64

	mu     sync.Mutex
	box    []func() // guarded by mu: posted
	asleep bool     // guarded by mu: the loop waits, and must be woken
	closed bool     // guarded by mu: nothing is posted any more
	empty  []func() // the box before this one
}

// Options are what a Loop is made from. The zero value is ready.
type Options struct {
	// Panicked is told of a panic in what a connection's handler did, whose connection is then closed; nil: nobody is. What the
	// panic said is not told, since it may quote a request.
	Panicked func(stack []byte)
	// Works is called on the loop while it works, between connections: before it waits, and whenever some have been served. Nil: nobody is.
	Works func(now time.Time)
}

// blockOfReads is the size of what Read reads into, in bytes.
const blockOfReads = 64 << 10

// longHold is how long the loop may be held by what it calls before that is counted.
const longHold = 20 * time.Millisecond

// New returns a loop. Run must be called, or Close.
func New(o Options) (*Loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &Loop{poll: p, in: make([]byte, blockOfReads), scratch: make([]byte, 0, HeadRoom), start: time.Now(), panicked: o.Panicked, works: o.Works}
	l.turn()
	return l, nil
}

// Run runs the loop until Close. Then every connection is closed, and no handler is told.
func (l *Loop) Run() {
	for l.sleep() {
		began := l.now
		for i := range l.poll.n {
			id, ready := l.poll.event(i)
			if ready == 0 {
				continue // the loop was woken
			}
			if c := l.slots[id]; c != nil {
				c.happens(ready)
				l.served()
			}
		}
		l.open()
		l.timers.advance(l.tick)
		l.repeat()
		l.free, l.left = append(l.free, l.left...), l.left[:0]
		if l.works != nil {
			l.works(time.Now())
		}
		if time.Since(began) > longHold {
			l.held.Add(1)
		}
	}
	l.open() // what was posted before Close may have descriptors
	for _, c := range l.slots {
		if c == nil {
			continue
		}
		if h, ok := c.handler.(*handshake); ok {
			h.abandon()
			continue
		}
		c.Close() // an app may have yet to take something
	}
	l.pipes.end(l)
	l.poll.close()
}

// sleep waits until there is something to do. It returns false once the loop is closed.
func (l *Loop) sleep() bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	wait := time.Duration(0)
	if len(l.box) == 0 && len(l.again) == 0 {
		l.asleep = true
		wait = l.timers.next(l.tick)
	}
	l.mu.Unlock()
	l.poll.wait(wait, l.slots)
	l.mu.Lock()
	l.asleep = false
	l.mu.Unlock()
	l.turn()
	return true
}

// turn reads the clock.
func (l *Loop) turn() {
	l.now = time.Now()
	l.tick = 1 + int64(l.now.Sub(l.start)/Tick)
}

// open runs what was posted.
func (l *Loop) open() {
	l.mu.Lock()
	box := l.box
	l.box = l.empty
	l.mu.Unlock()
	for i, do := range box {
		box[i] = nil
		do()
	}
	l.empty = box[:0]
}

// repeat serves the connections that asked for another turn, once each.
func (l *Loop) repeat() {
	again := l.again
	l.again = l.spare[:0]
	for i, c := range again {
		again[i] = nil
		c.repeat()
		l.served()
	}
	l.spare = again[:0]
}

// someServed is how many connections are served before Options.Works is called again.
const someServed = 4

// served counts connections for Options.Works.
func (l *Loop) served() {
	if l.works == nil {
		return
	}
	if l.work++; l.work >= someServed {
		l.work = 0
		l.works(time.Now())
	}
}

// Post has do run on the loop, after what was posted before. It returns false if the loop is closed: then do never runs.
func (l *Loop) Post(do func()) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.box = append(l.box, do)
	if l.asleep {
		l.asleep = false
		l.poll.wake()
	}
	l.mu.Unlock()
	return true
}

// Close ends Run, which closes all connections.
func (l *Loop) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.poll.wake() // with the lock held: once the loop has ended, the descriptor may be another file's
	}
}

// Now is the time at which the loop last had something to do.
func (l *Loop) Now() time.Time { return l.now }

// Held is how often what the loop calls took more than 20 ms in one turn.
func (l *Loop) Held() uint64 { return l.held.Load() }

// Size is how many connections the loop has.
func (l *Loop) Size() int { return int(l.size.Load()) }

// Each calls do with the handler of each connection, which may close any.
func (l *Loop) Each(do func(Handler)) {
	for _, c := range l.slots {
		if c != nil && !c.Closed() {
			do(c.handler)
		}
	}
}

// take gives a connection an id.
func (l *Loop) take(c *Conn) {
	if l.tight {
		narrow(int(c.fd))
	}
	l.size.Add(1)
	if n := len(l.free) - 1; n >= 0 {
		c.id, l.free = l.free[n], l.free[:n]
		l.slots[c.id] = c
		return
	}
	c.id = uint32(len(l.slots)) //nolint:gosec // there are fewer descriptors
	l.slots = append(l.slots, c)
}

// leave takes a connection's id back, once no event for it can be at hand.
func (l *Loop) leave(c *Conn) {
	l.size.Add(-1)
	l.slots[c.id] = nil
	l.left = append(l.left, c.id)
}
