package gate

import (
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// mostQueued bounds the judgements that wait for their turn. They take some milliseconds, so the last of them waits for a second or so.
	mostQueued = 256
	// breath is how long one processor that is all there is goes without such a judgement before the next.
	breath = 50 * time.Microsecond
)

// line has the judgements that take long, which one after the other get a processor. Each client has a queue of its own, and those take
// turns: who sends many makes himself wait, and not the others. It is safe for concurrent use.
type line struct {
	most  int        // immutable
	procs func() int // immutable: how many processors there are

	mu      sync.Mutex
	running int                   // guarded by mu
	waiting int                   // guarded by mu
	queues  map[netip.Addr]*queue // guarded by mu; none is empty
	order   []*queue              // guarded by mu: the queues, the one whose turn is next first
}

// queue is the judgements of one client, the oldest first.
type queue struct {
	client netip.Addr
	turns  []*turn
}

// turn is one judgement's place in the line.
type turn struct {
	client netip.Addr
	begin  chan struct{} // closed when it may begin
	out    chan struct{} // closed when it has to give way
	state  turnState     // guarded by line.mu
}

type turnState uint8

const (
	turnWaits turnState = iota
	turnRuns
	turnOver
)

func newLine(most int) *line {
	procs := func() int { return runtime.GOMAXPROCS(0) }
	return &line{most: most, procs: procs, queues: map[netip.Addr]*queue{}}
}

// runs is how many judgements run at a time: they leave a processor to the loops.
func (l *line) runs() int { return max(1, l.procs()-1) }

// enter gets in line. It returns nil if there is no place; where there is none, the last of the client that has most gives way to
// one that has fewer.
func (l *line) enter(client netip.Addr) *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &turn{client: client, begin: make(chan struct{}), out: make(chan struct{})}
	if l.running < l.runs() && l.waiting == 0 {
		l.run(t)
		return t
	}
	q := l.queues[client]
	if l.waiting >= l.most && !l.makeRoom(q) {
		return nil
	}
	if q = l.queues[client]; q == nil {
		q = &queue{client: client}
		l.queues[client] = q
		l.order = append(l.order, q)
	}
	q.turns = append(q.turns, t)
	l.waiting++
	l.next()
	return t
}

// run begins a turn. It is called with mu held.
func (l *line) run(t *turn) {
	l.running++
	t.state = turnRuns
	close(t.begin)
}

// makeRoom has the last in the longest queue give way to one in q, which may be nil, if that stays shorter. It is called with mu held.
func (l *line) makeRoom(q *queue) bool {
	mine := 0
	if q != nil {
		mine = len(q.turns)
	}
	var longest *queue
	for _, other := range l.order {
		if longest == nil || len(other.turns) > len(longest.turns) {
			longest = other
		}
	}
	if longest == nil || len(longest.turns) <= mine+1 {
		return false
	}
	last := longest.turns[len(longest.turns)-1]
	close(last.out)
	l.drop(longest, len(longest.turns)-1)
	return true
}

// drop takes a turn out of a queue. It is called with mu held.
func (l *line) drop(q *queue, i int) {
	q.turns[i].state = turnOver
	q.turns = slices.Delete(q.turns, i, i+1)
	l.waiting--
	if len(q.turns) == 0 {
		delete(l.queues, q.client)
		l.order = slices.DeleteFunc(l.order, func(other *queue) bool { return other == q })
	}
}

// next begins turns while there is room, one of each client after the other. It is called with mu held.
func (l *line) next() {
	for l.running < l.runs() && l.waiting > 0 {
		q := l.order[0]
		l.order = append(l.order[1:], q)
		l.run(q.turns[0])
		q.turns[0] = nil
		q.turns = q.turns[1:]
		if l.waiting--; len(q.turns) == 0 {
			delete(l.queues, q.client)
			l.order = l.order[:len(l.order)-1]
		}
	}
}

// leave ends a turn, whether or not it has begun.
func (l *line) leave(t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch t.state {
	case turnRuns:
		l.running--
	case turnWaits:
		q := l.queues[t.client]
		l.drop(q, slices.Index(q.turns, t))
	case turnOver:
		return
	}
	t.state = turnOver
	l.next()
}

// end ends a turn that has begun. Where there is one processor alone, the next begins only once that has looked for what else there is
// to do: while there is a goroutine that wants to run, the runtime looks for what has become readable every 10 ms only.
func (l *line) end(t *turn) {
	if l.procs() > 1 {
		l.leave(t)
		return
	}
	time.AfterFunc(breath, func() { l.leave(t) })
}
