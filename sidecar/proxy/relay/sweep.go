package relay

import (
	"context"
	"runtime"
	"time"
)

// phase is what a connection is doing, for the sweep.
type phase uint8

const (
	phaseFresh   phase = iota // waits for the first byte
	phaseHead                 // waits for the rest of a head
	phaseIdle                 // waits for the next request
	phaseBusy                 // judges, dials, writes to the app
	phaseWaiting              // waits for the head of the app's answer
	phaseStream               // waits for more of the app's answer
	phaseWriting              // writes to the client
	phaseUpgraded
)

// silent holds while nothing of a request has come.
func (p phase) silent() bool { return p == phaseFresh || p == phaseIdle }

// between holds while no request is being served.
func (p phase) between() bool { return p.silent() || p == phaseHead }

// ending says why a connection was ended by another goroutine than its own.
type ending uint8

const (
	endNot      ending = iota
	endNow             // time is up, or the relay closes
	endAnswer          // the app took too long: the client is to be told
	endBodyRate        // the client's body came too slowly
)

// side is what a peer has done with its side of a connection.
type side uint8

const (
	sideOpen   side = iota
	sideClosed      // it sends no more; it may still listen
	sideGone        // the connection is no more
)

// past is a deadline that is over: setting it ends what is being read or written.
var past = time.Unix(1, 0)

// Times of the sweep.
const (
	upstreamIdle = time.Second     // an app's connection is kept as long between requests
	goneAfter    = time.Second     // from then on, a client that waits is looked at
	halfClosed   = 2 * time.Second // how long a client that has closed its side is taken to wait for more
	hesitation   = time.Second     // how long an app may take to ask for a body that the client holds back
	noting       = time.Second     // how long it may take to note that the last of a body was sent, once the app has answered it
	toTell       = 5 * time.Second // for telling a client that its time or the app's is up
)

// sweep looks at all connections again and again until ctx ends.
func (r *Relay) sweep(ctx context.Context) {
	t := time.NewTicker(r.every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			r.look(time.Now())
		}
	}
}

// every is how often the sweep looks: four times in the shortest limit.
func (l *Limits) every() time.Duration {
	every := 2 * time.Second
	for _, d := range []time.Duration{l.ReadHead, l.Idle, l.Response, l.Write} {
		if d > 0 {
			every = min(every, d)
		}
	}
	return max(every/4, 5*time.Millisecond)
}

func (r *Relay) look(now time.Time) {
	r.tick.Store(now.UnixNano())
	if d := r.date.Load(); d == nil || !isDate(*d, now) {
		b := now.UTC().AppendFormat([]byte("Date: "), "Mon, 02 Jan 2006 15:04:05 GMT\r\n")
		r.date.Store(&b)
	}
	conns := r.all()
	patience := r.every + r.every/2 // what began before the last look
	crowded := len(conns) >= r.Crowd
	if crowded {
		patience = r.every / 2 // what began before this one
	}
	r.crowded.Store(crowded)
	for _, c := range conns {
		c.look(now.UnixNano(), r.every, patience)
	}
	idle := 0
	for _, h := range r.allHTTP2() {
		idle += h.look(now.UnixNano(), r.every)
	}
	r.trim.look(runtime.NumGoroutine(), idle, now)
}

// isDate compares the seconds, which is what changes.
func isDate(d []byte, now time.Time) bool {
	s := now.Second()
	at := len("Date: Mon, 02 Jan 2006 15:04:")
	return d[at] == byte('0'+s/10) && d[at+1] == byte('0'+s%10)
}

// look checks one connection.
func (c *conn) look(now int64, every, patience time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != endNot {
		return // a read that began meanwhile is ended by its deadline
	}
	c.check(now, every)
	c.nudge(now, patience)
}

// nudge has waits that have been as long as patience go on without a goroutine. The lock is held.
func (c *conn) nudge(now int64, patience time.Duration) {
	if c.phase.between() || c.phase == phaseUpgraded || c.body.reading.Load() {
		c.in.nudge(now, patience)
	}
	switch c.phase {
	case phaseWaiting, phaseStream, phaseUpgraded:
		if c.up != nil {
			c.up.in.nudge(now, patience)
		}
	case phaseWriting:
		c.out.nudge(now, patience)
	default:
	}
}

// check ends the connection if it has to. The lock is held.
func (c *conn) check(now int64, every time.Duration) {
	switch {
	case c.until != 0 && now > c.until && !c.phase.between():
		c.expireStream()
	case c.body.reading.Load() && c.slow(every):
		c.expire(endBodyRate)
	default:
		c.checkPhase(now, time.Duration(now-c.since))
	}
}

// checkPhase ends the connection if what it does has taken too long, age so far. The lock is held.
func (c *conn) checkPhase(now int64, age time.Duration) {
	l := &c.relay.Limits
	switch c.phase {
	case phaseFresh, phaseHead:
		c.expireAfter(age, l.ReadHead)
	case phaseIdle:
		if c.up != nil && age > upstreamIdle {
			c.up.close()
			c.up = nil
		}
		c.expireAfter(age, l.Idle)
	case phaseWaiting:
		c.waits(now, age)
	case phaseStream:
		c.expireGone(now, age)
	case phaseWriting:
		if l.Write > 0 && age > l.Write && !c.takes(now) {
			c.expire(endNow)
		}
	case phaseBusy, phaseUpgraded:
	}
}

// waits checks a connection that has waited for the app's answer for a time. The lock is held.
func (c *conn) waits(now int64, age time.Duration) {
	if l := c.relay.Limits.Response; l > 0 && age > l {
		c.expire(endAnswer)
		return
	}
	if age > hesitation {
		c.ask()
	}
	c.expireGone(now, age)
}

// slow reports whether a request's body comes too slowly. It is called once in every while the body is waited for; time in
// which the app does not take what has come does not count. The lock is held.
func (c *conn) slow(every time.Duration) bool {
	p, l := &c.body, &c.relay.Limits
	came := p.bytes.Load()
	if c.tcp != nil {
		total, held := received(c.tcp)
		if held {
			return false
		}
		came = int64(total - p.before)
	}
	p.starved += every
	return l.BodyRate > 0 && p.starved > l.ReadHead && float64(came) < float64(l.BodyRate)*p.starved.Seconds()
}

func (c *conn) expireAfter(age, limit time.Duration) {
	if limit > 0 && age > limit {
		c.expire(endNow)
	}
}

// expire ends what the connection waits for. The lock is held.
func (c *conn) expire(why ending) {
	c.end = why
	if c.up != nil {
		c.up.abort()
	}
	switch why {
	case endNow:
		_ = c.net.SetDeadline(past)
		c.in.end(past)
		c.out.end(past)
	case endBodyRate:
		c.in.end(past)
		c.out.end(time.Now().Add(toTell))
	case endAnswer, endNot: // the client's side is as it was
	}
}

// takes reports whether the client has taken some of what it is sent since it was last asked, or has nothing to take. The
// lock is held.
func (c *conn) takes(now int64) bool {
	if c.tcp == nil {
		return false
	}
	acked, waiting := sent(c.tcp)
	if waiting && acked == c.acked {
		return false
	}
	c.acked, c.since = acked, now
	return true
}

// expireGone ends a connection whose client is gone. One that has closed its side is taken for gone after a while in
// which nothing could be sent to it, as nobody can tell it from one that listens. The lock is held.
func (c *conn) expireGone(now int64, age time.Duration) {
	if age < goneAfter || c.tcp == nil {
		return
	}
	switch sideOf(c.tcp) {
	case sideOpen:
		c.goneSince = 0
	case sideClosed:
		if c.goneSince == 0 {
			c.goneSince = now
		}
		if time.Duration(now-max(c.goneSince, c.since)) > halfClosed {
			c.expire(endNow)
		}
	case sideGone:
		c.expire(endNow)
	}
}

// expireStream ends what goes on although its token has expired. A WebSocket's client is told why. The lock is held.
func (c *conn) expireStream() {
	if c.tunnel != nil {
		_ = c.net.SetWriteDeadline(time.Now().Add(toTell / 5))
		go func(t *upgraded) {
			t.leave(closePolicy)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.expire(endNow)
		}(c.tunnel.client)
		c.until = 0
		return
	}
	c.expire(endNow)
}

// endAt sets when what is going on ends.
func (c *conn) endAt(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t.UnixNano()
}

// ask asks the client for a body that it holds back until somebody does, since the app does not. The lock is held, and
// the phase is one in which nobody else writes to the client.
func (c *conn) ask() {
	if !c.expects || c.tcp == nil || c.body.bytes.Load() > 0 {
		return
	}
	c.expects = false
	if !tell(c.tcp, []byte("HTTP/1.1 100 Continue\r\n\r\n")) {
		c.expire(endNow)
	}
}

// enter notes what the connection does from now on. It returns false if the connection is to end without a word. One whose
// time was up just when the answer came takes no further request.
func (c *conn) enter(p phase) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase, c.since = p, c.relay.tick.Load(); c.inside && p == phaseIdle {
		c.in.begin()
	}
	if p.silent() && c.end == endNot && c.relay.closing.Load() {
		c.expire(endNow)
	}
	if p.between() {
		c.goneSince, c.expects, c.until = 0, false, 0
		return c.end == endNot
	}
	return c.end != endNow
}

// expect notes that the client holds the body back until it is asked for it.
func (c *conn) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expects = true
}

// retire ends the connection if nothing of a request has come.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase.silent() && c.end == endNot {
		c.expire(endNow)
	}
}

// clear ends the connection if it waits for a next request.
func (c *conn) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == phaseIdle && c.end == endNot {
		c.expire(endNow)
	}
}

// ending returns why the connection was ended. With endAnswer, only the connection to the app was, and the client's goes
// on.
func (c *conn) ending() ending {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.end
	if end == endAnswer {
		c.end = endNot
	}
	return end
}

// setUpstream gives the connection a connection to the app. It returns false if the connection has been ended.
func (c *conn) setUpstream(u *upstream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = u
	return c.end == endNot
}
