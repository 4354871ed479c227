package relay

import (
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// forward sends the request to the app and the answer to the client. It reports whether the connection can take another
// request.
func (x *exchange) forward(v *gate.Verdict) (again bool) {
	x.names, x.answer = v.Edit, v.Edit.AnswerProtocol
	x.upgrade = ends.Upgradable(&x.req)
	x.safe = ends.Safe(text(x.req.Method))
	if !v.Until.IsZero() {
		x.c.endAt(v.Until)
	}
	x.out = grab(x.headBytes + x.c.in.buf.len() + added)
	out, err := x.body.take(&x.c.in.buf, x.c.relay.Limits.Head, &v.Edit, x.writeRequest(x.out[:0], v))
	if err != nil {
		return x.fail(ends.ReasonOf(err), nil)
	}
	x.out = out
	x.letHead()
	if !x.body.done {
		x.detach()
	}
	u, n, err := x.ask()
	if err == errParked { //nolint:errorlint // our own
		return x.rest(nextApp)
	}
	if err != nil {
		return x.fail("", err)
	}
	return x.reply(u, n)
}

// added is about how much longer a head is when the app gets it, in bytes.
const added = 1 << 10

// detach copies what is needed of the request for a record of a failure: its bytes will be overwritten.
func (x *exchange) detach() {
	r := &x.record
	r.Method, r.Host, r.Path = strings.Clone(r.Method), strings.Clone(r.Host), strings.Clone(r.Path)
}

// rest has the exchange hold little while something is waited for, for long. Nothing is sent again after that.
func (x *exchange) rest(then next) (again bool) {
	if !x.body.running {
		x.detach()
		x.c.in.buf.release()
	}
	x.lighten()
	x.parked = then
	return false
}

// goOn goes on when the wait is over.
func (x *exchange) goOn() (again bool) {
	x.parked = nextEnd
	takeFields(&x.res.Fields)
	u := x.c.up
	if x.copying.stalled {
		x.copying.stalled = false
		x.c.relay.stalled.Add(-1)
	}
	if x.copying.begun {
		return x.copyOn(u)
	}
	n, err := x.finalHead(u)
	if err == errParked { //nolint:errorlint // our own
		return x.rest(nextApp)
	}
	if err != nil {
		return x.fail("", err)
	}
	return x.reply(u, n)
}

// ask sends the request and reads the head of the final answer, which is the first n bytes that u holds. A connection
// that was used before may have been closed by the app meanwhile: then a new one is tried, once, if the request can be
// sent again.
func (x *exchange) ask() (u *upstream, n int, err error) {
	for fresh := false; ; fresh = true {
		if u, err = x.connect(fresh); err != nil {
			return nil, 0, err
		}
		stale := u.in.used
		u.in.want = x.c.relay.block(false)
		if n, err = x.try(u); err == nil {
			return u, n, nil
		}
		if stale && err == errStale { //nolint:errorlint // stream returns it as it is
			continue // nothing was sent
		}
		if err == errParked { //nolint:errorlint // our own
			return nil, 0, err
		}
		if !stale || !x.safe || x.body.running || u.in.buf.len() > 0 || ends.TimedOut(err) {
			return nil, 0, err
		}
	}
}

// try sends the request on a connection and reads the head of the answer.
func (x *exchange) try(u *upstream) (int, error) {
	if x.body.done {
		if !x.c.enter(phaseWaiting) {
			return 0, net.ErrClosed
		}
		x.c.relay.yield()
		if err := u.in.ask(x.out); err != nil {
			return x.lastWords(u, err)
		}
		return x.answerHead(u)
	}
	if !x.c.enter(phaseBusy) {
		return 0, net.ErrClosed
	}
	if err := u.in.silent(); err != nil {
		return 0, err
	}
	if _, err := u.conn.Write(x.out); err != nil {
		return x.lastWords(u, err)
	}
	if !x.body.running {
		drop(x.out) // the body may take long, and nothing is sent again
		x.out = nil
		x.send(u)
		if x.req.Expect {
			x.c.expect()
		}
	}
	return x.answerHead(u)
}

// lastWords reads the head of the answer of an app that takes no more of the request, which err says: it may have answered
// before. If it has not, the error is err.
func (x *exchange) lastWords(u *upstream, err error) (int, error) {
	if !untaken(err) {
		return 0, err
	}
	n, readErr := x.answerHead(u)
	if readErr != nil && readErr != errParked { //nolint:errorlint // our own
		return 0, err
	}
	x.body.untaken = true
	return n, readErr
}

// untaken reports whether an error of writing to the app says that it has closed the connection.
func untaken(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// fail answers a request that the app did not answer. The reason is found from the error if it is empty.
func (x *exchange) fail(reason decision.Reason, err error) (again bool) {
	c := x.c
	x.discardUpstream()
	whole := x.stop()
	end := c.ending()
	if end == endNow {
		return false // nobody is there, or nobody wants to wait
	}
	switch {
	case end == endBodyRate:
		reason = decision.RequestTimeout
	case x.body.reason != "":
		reason = x.body.reason
	case end == endAnswer:
		reason = decision.UpstreamTimeout
	case reason == "":
		reason = ends.FailureOf(err)
	}
	x.observeFailure(reason, ends.CauseOf(reason, err))
	if !whole || !x.req.KeepAlive || end == endBodyRate || !x.body.done {
		x.refuse(&gate.Verdict{Reason: reason}, closeAfter)
		c.linger()
		return false
	}
	return x.refuse(&gate.Verdict{Reason: reason}, keepAlive)
}

// discardUpstream closes the connection to the app.
func (x *exchange) discardUpstream() {
	u := x.c.up
	if u == nil {
		return
	}
	x.c.setUpstream(nil)
	u.discard()
}

// observeFailure tells of a request that was forwarded and not answered.
func (x *exchange) observeFailure(reason decision.Reason, cause string) {
	r := x.c.relay
	if r.Observe == nil {
		return
	}
	was := x.record
	x.record = telemetry.Record{
		Trace: was.Trace,
		Time:  r.Now(), RequestID: x.id.Text(), Reason: reason, Cause: decision.Because(cause), Policy: was.Policy, Rule: was.Rule,
		Method: was.Method, Host: was.Host, Path: was.Path, Protocol: was.Protocol, Port: was.Port, Remote: was.Remote,
	}
	r.Observe(&x.record)
}
