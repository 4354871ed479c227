package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"
)

func runLoad(args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	g, err := newGenerator(o)
	if err != nil {
		return err
	}
	got, err := g.run()
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(got); err != nil || !o.hold {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// result is what is printed; times in us.
type result struct {
	Requests, Messages, Errors, Reopened int
	Seconds, P50, P99                    float64
}

// generator is all clients.
type generator struct {
	options
	script  script
	fields  []hpack.HeaderField // of every call; there is room for one more
	loop    *loop
	tokens  []string // values of authorization
	next    int      // token
	links   []*link
	turn    int
	timer   int         // descriptor; 0: none
	due     []time.Time // calls that are due and find no room
	begin   time.Time
	started int
	result  result
	latency latencies

	status, grpcStatus string // of the block that is being read
}

// call is one call of the generator.
type call struct {
	since time.Time
	got   int // messages
	left  int // turns that are still to be taken
	bad   bool
}

func newGenerator(o options) (*generator, error) {
	p, err := newLoop()
	if err != nil {
		return nil, err
	}
	g := &generator{options: o, loop: p}
	if g.script, err = newScript(o.kind, o.messages, o.size); err != nil {
		return nil, err
	}
	g.fields = g.script.fields(o.path)
	if o.tokens == "" {
		g.tokens = []string{""}
		return g, nil
	}
	text, err := os.ReadFile(o.tokens)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if o.first > 0 && len(g.tokens) == o.first {
			break
		}
		g.tokens = append(g.tokens, "Bearer "+strings.TrimSpace(line))
	}
	if len(g.tokens) == 0 {
		return nil, fmt.Errorf("%s has no token", o.tokens)
	}
	return g, nil
}

// run opens the connections and sends calls until the time is over or all are done.
func (g *generator) run() (result, error) {
	g.begin = time.Now()
	end := g.begin.Add(g.time)
	if g.calls > 0 {
		end = g.begin.Add(time.Minute)
	}
	if g.rate > 0 {
		if err := g.clock(); err != nil {
			return g.result, err
		}
	}
	if err := g.open(end); err != nil {
		return g.result, err
	}
	for now := g.begin; now.Before(end) && (g.calls == 0 || g.result.Requests+g.result.Errors < g.calls); now = time.Now() {
		if err := g.loop.wait(int(end.Sub(now).Milliseconds())+1, g.event); err != nil {
			return g.result, err
		}
	}
	g.result.Seconds = time.Since(g.begin).Seconds()
	if g.calls > 0 && g.result.Requests+g.result.Errors < g.calls {
		return g.result, fmt.Errorf("%d of %d calls were not done within a minute", g.calls-g.result.Requests, g.calls)
	}
	g.result.P50, g.result.P99 = g.latency.at(0.5), g.latency.at(0.99)
	return g.result, nil
}

// inTurns is how many calls are under way at most while connections are opened that will be held.
const inTurns = 64

// open opens the connections. Those that will be held are opened in turns, so that all get their one call with few under way.
func (g *generator) open(end time.Time) error {
	for range g.conns {
		for g.hold && g.started-g.result.Requests-g.result.Errors >= inTurns {
			left := time.Until(end)
			if left <= 0 {
				return nil
			}
			if err := g.loop.wait(int(left.Milliseconds())+1, g.event); err != nil {
				return err
			}
		}
		if err := g.connect(); err != nil {
			return err
		}
	}
	return nil
}

// connect opens a connection, and its calls if they wait for nothing.
func (g *generator) connect() error {
	fd, err := dial(g.port)
	if err != nil {
		return err
	}
	l := newLink(fd, g, "")
	l.next = 1
	l.fields.dec.SetEmitFunc(g.field)
	if err := g.loop.add(l); err != nil {
		return err
	}
	g.links = append(g.links, l)
	if g.rate == 0 {
		for range g.streams {
			g.start(l, time.Now())
		}
	}
	return errors.Join(l.write(nothing), g.loop.settle(l))
}

func nothing(*stream) {}

func (g *generator) event(fd int, events uint32) error {
	if fd == g.timer && g.timer != 0 {
		return g.tick()
	}
	l := g.loop.links[fd]
	if l == nil {
		return nil
	}
	err := g.loop.serve(l, events, nothing)
	if err == nil && (!l.gone || len(l.streams) > 0) {
		return nil
	}
	return g.replace(l)
}

// replace opens a connection in place of one that has ended.
func (g *generator) replace(l *link) error {
	g.result.Errors += len(l.streams)
	g.result.Reopened++
	g.loop.drop(l)
	for i := range g.links {
		if g.links[i] == l {
			g.links = append(g.links[:i], g.links[i+1:]...)
			break
		}
	}
	return g.connect()
}

// start begins a call, unless there were enough.
func (g *generator) start(l *link, since time.Time) {
	if g.calls > 0 && g.started == g.calls || l.gone {
		return
	}
	g.started++
	s := l.open(l.next)
	l.next += 2
	s.call = &call{since: since, left: g.script.turns}
	fields, flags := g.fields, byte(0)
	if token := g.tokens[g.next]; token != "" {
		fields = append(fields, hpack.HeaderField{Name: "authorization", Value: token})
	}
	g.next = (g.next + 1) % len(g.tokens)
	if g.script.get {
		flags = flagEnd
	}
	l.head(s.id, flags, fields...)
	s.closing = g.script.turns == 0
	for _, b := range g.script.sends {
		l.send(s, b.message, b.times)
	}
}

// field is called for each field of a block.
func (g *generator) field(f hpack.HeaderField) {
	switch f.Name {
	case ":status":
		g.status = f.Value
	case "grpc-status":
		g.grpcStatus = f.Value
	}
}

// headers implements owner.
func (g *generator) headers(l *link, id uint32, block []byte, end bool) error {
	g.status, g.grpcStatus = "", ""
	if _, err := l.fields.dec.Write(block); err != nil {
		return err
	}
	if err := l.fields.dec.Close(); err != nil {
		return err
	}
	s := l.streams[id]
	if s == nil {
		return nil
	}
	if !s.head {
		s.head = true
		s.call.bad = g.status != "200"
	}
	if end {
		g.finish(l, s, !s.call.bad && (g.script.get || g.grpcStatus == "0" && s.call.got == g.script.answers))
	}
	return nil
}

// data implements owner.
func (g *generator) data(l *link, id uint32, payload []byte, end bool) error {
	s := l.streams[id]
	if s == nil {
		return nil
	}
	if g.script.get {
		if end {
			g.finish(l, s, !s.call.bad)
		}
		return nil
	}
	s.reader.read(payload, func(int, int) {
		s.call.got++
		if s.call.left > 0 {
			s.call.left--
			s.closing = s.call.left == 0
			l.send(s, g.script.turn, 1)
		}
	})
	if end { // a call of gRPC ends with trailers
		g.finish(l, s, false)
	}
	return nil
}

// reset implements owner.
func (g *generator) reset(l *link, id uint32) {
	if s := l.streams[id]; s != nil {
		g.finish(l, s, false)
	}
}

// away implements owner: what the peer will not answer is made again, on another connection.
func (g *generator) away(l *link, last uint32) {
	l.gone = true
	for id := range l.streams {
		if id > last {
			delete(l.streams, id)
			g.started--
		}
	}
}

// finish ends a call; in a closed loop the next one begins at once.
func (g *generator) finish(l *link, s *stream, good bool) {
	now := time.Now()
	delete(l.streams, s.id)
	if good {
		g.result.Requests++
		g.result.Messages += g.script.counts
		g.latency.add(now.Sub(s.call.since))
	} else {
		g.result.Errors++
	}
	if len(g.due) > 0 {
		now, g.due = g.due[0], g.due[:copy(g.due, g.due[1:])]
		g.start(l, now)
	} else if g.rate == 0 && !g.hold {
		g.start(l, now)
	}
}

// clock starts the timer that says when calls are due.
func (g *generator) clock() (err error) {
	if g.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return err
	}
	every := unix.NsecToTimespec(time.Second.Nanoseconds() / int64(g.rate))
	if err := unix.TimerfdSettime(g.timer, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return err
	}
	return g.loop.watch(g.timer)
}

// tick starts the calls that are due.
func (g *generator) tick() error {
	var count [8]byte
	if _, err := unix.Read(g.timer, count[:]); err != nil && !errors.Is(err, unix.EAGAIN) {
		return err
	}
	every := time.Second / time.Duration(g.rate)
	for due := int(time.Since(g.begin) / every); g.started+len(g.due) < due; {
		since := g.begin.Add(time.Duration(g.started+len(g.due)+1) * every)
		l := g.room()
		if l == nil {
			g.due = append(g.due, since)
			continue
		}
		g.start(l, since)
		err := l.write(nothing)
		if err == nil {
			err = g.loop.settle(l)
		}
		if err != nil && g.replace(l) != nil {
			return err
		}
	}
	return nil
}

// room is a connection that has room for a call, in turn; nil if none has.
func (g *generator) room() *link {
	for range g.links {
		g.turn = (g.turn + 1) % len(g.links)
		if l := g.links[g.turn]; len(l.streams) < g.streams && !l.gone {
			return l
		}
	}
	return nil
}
