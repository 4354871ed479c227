package relay

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// call is a request of an HTTP/2 client, and its answer. One goroutine serves it, and another one sends its body on.
type call struct {
	h *HTTP2
	x *exchange
	w http.ResponseWriter
	r *http.Request

	body upload

	mu    sync.Mutex
	phase phase     // guarded by mu
	since int64     // guarded by mu: when the phase began, by the sweep's clock
	until int64     // guarded by mu: when what is going on ends, in Unix nanoseconds; 0: whenever
	end   ending    // guarded by mu
	up    *upstream // guarded by mu

	gathering bool // guarded by mu: the body is being read for the gate
}

var calls = sync.Pool{New: func() any { return &call{} }}

func newCall(h *HTTP2, w http.ResponseWriter, r *http.Request) *call {
	c := calls.Get().(*call)
	c.h, c.w, c.r = h, w, r
	c.phase, c.since, c.until, c.end, c.gathering = phaseBusy, h.relay.tick.Load(), 0, endNot, false
	c.x = newLightExchange(h.begin(c))
	return c
}

// finish gives everything back.
func (c *call) finish() {
	c.discard()
	c.body.stop(c)
	c.h.end(c)
	if c.r.Context().Err() != nil {
		c.h.givenUp(c.x.start)
	}
	c.x.releaseLight()
	c.h, c.x, c.w, c.r, c.body = nil, nil, nil, nil, upload{}
	calls.Put(c)
}

// serve serves the request. It returns false if the answer cannot be finished.
func (c *call) serve() bool {
	return !c.settle() || c.forward()
}

// settle judges the request, and refuses it or makes what the app is sent of it. It reports whether the request is to be
// forwarded. What it needs of the stack is free again while the app is waited for.
//
//go:noinline
func (c *call) settle() bool {
	x, relay := c.x, c.h.relay
	x.start = relay.Now()
	x.id.ChooseOf(c.r.Header[requestid.Header])
	if relay.Tracer != nil {
		x.trace = trace.Begin(relay.Tracer, c.r.Method, c.r.Header, x.start)
	}
	parts := head.Parts{Method: c.r.Method, Target: c.r.RequestURI, Host: c.r.Host, Header: c.r.Header, Length: c.r.ContentLength}
	err := head.Assemble(&parts, relay.Limits.Head, &x.req)
	if l := relay.Limits.Target; l > 0 && len(parts.Target) > l {
		err = head.ErrTarget
	}
	if err != nil {
		reason := ends.ReasonOf(err)
		x.req.Method, x.req.Host = nil, nil
		x.observe(&gate.Verdict{Reason: reason}, ends.CauseOf(reason, err))
		c.refuse(&gate.Verdict{Reason: reason})
		return false
	}
	x.isHead = c.r.Method == http.MethodHead
	v := c.judge()
	if v.WantBody > 0 {
		v = c.judgeBody(&v)
	}
	if v.Forward && !c.body.bound(v.MaxBody, relay.Limits.Body, c.r.ContentLength) {
		v.Forward, v.Reason = false, decision.BodyTooLarge
	}
	x.observe(&v, "")
	x.request.Body = nil
	x.cors = v.CORS
	if !v.Forward {
		c.refuse(&v)
		return false
	}
	x.names, x.safe = v.Edit, ends.Safe(c.r.Method)
	if !v.Until.IsZero() {
		c.endAt(v.Until)
	}
	c.frame(&v.Edit)
	x.out = x.writeRequest(grab(x.headSize())[:0], &v)
	return true
}

// judge asks the gate.
func (c *call) judge() gate.Verdict {
	x, i := c.x, &c.h.info
	x.request = gate.Request{
		Method: c.r.Method, Target: c.r.RequestURI, Host: c.r.Host, Header: x, Port: i.Port, Remote: i.Remote,
		ClientCert: i.ClientCert, Time: x.start, Places: &c.h.waiting,
	}
	if x.trace != nil {
		x.request.Trace = &x.trace.Gate
	}
	return c.h.relay.Gate.JudgeWaiting(c.r.Context(), &x.request)
}

// judgeBody reads the beginning of the body and asks the gate again. The verdict refuses where the body cannot be read.
func (c *call) judgeBody(first *gate.Verdict) gate.Verdict {
	c.setGathering(true)
	body, reason := c.h.gather(c.r, first.WantBody, &c.body)
	c.setGathering(false)
	if reason != "" {
		if c.ending() == endBodyRate {
			reason = decision.RequestTimeout
		}
		return gate.Verdict{Reason: reason, Path: first.Path, CORS: first.CORS}
	}
	c.x.request.Body = &body
	c.x.request.Time = time.Time{} // it is later by now
	return c.h.relay.Gate.JudgeWaiting(c.r.Context(), &c.x.request)
}

// setGathering notes whether the body is being read for the gate. How fast it comes is counted anew afterwards.
func (c *call) setGathering(is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathering, c.body.starved = is, 0
	c.body.bytes.Store(0)
}

// refuse answers in place of the app. It returns true.
func (c *call) refuse(v *gate.Verdict) bool {
	clear(c.w.Header())
	form := refuse.FormOf(c.r.ProtoMajor, c.r.Header.Get("Content-Type"))
	id := strings.Clone(c.x.id.Text()) // the server's compression of fields may keep it
	r := refuse.Render(v.Answer(id, c.x.trace.ID(), c.x.cors.Set), form)
	c.x.status = r.Status
	r.Write(c.w)
	return true
}

// forward sends the request to the app and the answer to the client.
func (c *call) forward() bool {
	u, n, err := c.ask()
	if err != nil {
		return c.fail("", err)
	}
	if c.x.res.Status == 101 { // nobody asked for that
		return c.fail(decision.UpstreamMalformed, nil)
	}
	return c.reply(u, n)
}

// frame says how the request's body goes to the app. Where there may be trailers, it goes in chunks.
func (c *call) frame(e *gate.Edit) {
	q := &c.x.req
	if c.r.ContentLength != 0 && c.body.announce(c.r.Trailer, e) {
		q.Chunked = true
		q.Fields = slices.DeleteFunc(q.Fields, func(f head.Field) bool { return f.Kind == head.ContentLength })
		q.Fields = append(q.Fields, head.Field{Name: []byte("Trailer"), Value: c.body.announced, Kind: head.Trailer})
	}
	switch {
	case q.Chunked, q.HasLength:
	case q.Length > 0, c.r.Method == http.MethodPost, c.r.Method == http.MethodPut, c.r.Method == http.MethodPatch:
		// RFC 9110 section 8.6
		value := strconv.AppendInt(nil, q.Length, 10)
		q.Fields = append(q.Fields, head.Field{Name: []byte("Content-Length"), Value: value, Kind: head.ContentLength})
	}
}

// ask sends the request and reads the head of the final answer, which is the first n bytes that u holds. Where the
// connection had been kept, a request that may be sent again is, once.
func (c *call) ask() (u *upstream, n int, err error) {
	for fresh := false; ; fresh = true {
		if u, err = c.connect(fresh); err != nil {
			return nil, 0, err
		}
		stale := u.in.used
		if n, err = c.try(u); err == nil {
			return u, n, nil
		}
		unsent := err == errStale //nolint:errorlint // stream returns it as it is
		if !stale || !unsent && (!c.x.safe || c.body.running || u.in.buf.len() > 0 || ends.TimedOut(err)) {
			return nil, 0, err
		}
		c.discard()
	}
}

// connect returns a connection that the client's requests have used, or a new one. fresh wants a new one in any case.
func (c *call) connect(fresh bool) (*upstream, error) {
	if !fresh {
		if u := c.h.take(); u != nil {
			return u, c.hold(u)
		}
	}
	to := c.h.info.Upstream
	nc, err := c.h.relay.dial(to.Scheme, to.Host)
	if err != nil {
		return nil, err
	}
	u := &upstream{conn: nc}
	u.tcp, _ = nc.(*net.TCPConn)
	u.in.init(nc, mediumBlock, nil)
	return u, c.hold(u)
}

// try sends the request on a connection and reads the head of the answer.
func (c *call) try(u *upstream) (int, error) {
	if c.r.ContentLength == 0 {
		if !c.enter(phaseWaiting) {
			return 0, net.ErrClosed
		}
		if err := u.in.ask(c.x.out); err != nil {
			return c.lastWords(u, err)
		}
		return c.answerHead(u)
	}
	if err := u.in.silent(); err != nil {
		return 0, err
	}
	if _, err := u.conn.Write(c.x.out); err != nil {
		return c.lastWords(u, err)
	}
	if !c.body.running {
		c.x.lighten() // the body may take long, and nothing is sent again
		c.body.start(c, u)
	}
	return c.answerHead(u)
}

// lastWords is the function of that name of an exchange.
func (c *call) lastWords(u *upstream, err error) (int, error) {
	if !untaken(err) {
		return 0, err
	}
	n, readErr := c.answerHead(u)
	if readErr != nil {
		return 0, err
	}
	c.body.untaken = true
	return n, nil
}

// answerHead reads heads until there is a final one, and returns its length. Interim answers are passed on (RFC 9110
// section 15.2).
func (c *call) answerHead(u *upstream) (int, error) {
	x := c.x
	for interim := 0; ; interim++ {
		if u.in.buf.len() == 0 && !c.enter(phaseWaiting) {
			return 0, net.ErrClosed
		}
		if u.in.buf.len() == 0 { // most waiting is done here, where little is held
			if err := u.in.fill(); err != nil {
				return 0, err
			}
		}
		n, err := readAnswerHead(u, false)
		if err != nil {
			return 0, err
		}
		takeFields(&x.res.Fields)
		if err := head.ParseResponse(u.in.buf.bytes()[:n], answerLimits, &x.res); err != nil {
			return 0, err
		}
		x.closing = x.closing || !x.res.KeepAlive
		switch {
		case x.res.Status >= 200 || x.res.Status == 101:
			x.res.KeepAlive = !x.closing
			return n, nil
		case interim == ends.MaxInterim:
			return 0, head.ErrTooLarge
		case !c.enter(phaseWriting):
			return 0, net.ErrClosed
		}
		c.writeHead()
		clear(c.w.Header())
		u.in.buf.take(n)
	}
}

// fail answers a request that the app did not answer. The reason is found from the error if it is empty. It returns
// false if there is nobody to be told.
func (c *call) fail(reason decision.Reason, err error) bool {
	end := c.ending()
	c.discard()
	c.body.stop(c)
	switch {
	case end == endNow || c.r.Context().Err() != nil:
		return false
	case end == endBodyRate:
		reason = decision.RequestTimeout
	case c.body.reason != "":
		reason = c.body.reason
	case end == endAnswer:
		reason = decision.UpstreamTimeout
	case reason == "":
		reason = ends.FailureOf(err)
	}
	c.x.observeFailure(reason, ends.CauseOf(reason, err))
	return c.refuse(&gate.Verdict{Reason: reason})
}
