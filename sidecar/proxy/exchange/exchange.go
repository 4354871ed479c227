package exchange

import (
	"context"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// Exchange is one request and its answer. An answer may take for ever, and so what it holds then is small.
type Exchange struct {
	*inquiry // nil: nothing of it is needed any more; see forget

	// HTTP2 says that the client speaks HTTP/2.
	HTTP2 bool

	host   *Host
	conn   *Conn
	client Client
	app    App // nil: there is none yet, or none any more
	trace  *trace.Request
	res    *head.Response // whose fields are being passed on

	timer  loop.Timer
	wakes  func() // x.wake, made once
	expiry loop.Timer

	step  step
	whole bool // all of the request has come
	left  bool // the client has gone while the verdict was waited for
	asked bool // the client has been asked for its body
	told  bool // the client has been told of an answer
}

// inquiry is what an exchange has of its request until all of that has come and the answer has begun. Up to then it may be sent, or sent again, and
// there are records to be made that say which one it is.
type inquiry struct {
	// Req is the head of the request. The client's end fills it in before Begin; what it points to lasts as long as the inquiry: see Own.
	Req head.Request

	start   time.Time
	gathers time.Duration // from start until what the gate wants to see of the body was waited for
	late    time.Duration // how long the client took for that
	id      requestid.ID
	verdict gate.Verdict
	failed  decision.Reason // why it has failed after it was forwarded; empty: it has not
	request gate.Request
	values  []string // storage for Values
	status  int      // that the client is answered with

	most    int64              // bytes of the body, at most; 0: no bound
	sent    int64              // bytes of the body that went on so far
	upgrade string             // the protocol that the app may switch to; empty: none
	cancel  context.CancelFunc // ends the wait for the verdict
	held    []byte             // the request's head; a block
	begun   loop.Buffer        // what came of the body before there was an App, or, with keeps, all that the App got of it
	room    int                // what Gathered counts for it
	kept    int                // what Heads counts for the head
	tail    []head.Field       // the trailer section that came after begun
	waits   Waiter             // for a connection to the app, as long as there is none
	counted int                // bytes of begun and tail that are kept so that they can be sent again
	interim int                // interim answers so far
	stall   Stall              // of the app, by App.Taken
	stuck   bool               // the body waits for the app to take more
	keeps   bool               // it can be sent again: begun and tail are kept
	again   bool               // it has been sent again
	old     bool               // it came in HTTP/1.0
	isHead  bool
	safe    bool
}

// step is how far an exchange is.
type step uint8

const (
	stepNew     step = iota
	stepWait         // the verdict is waited for
	stepGather       // the beginning of the body is, for the verdict
	stepForward      // the app has the request, or is getting it
	stepAnswer       // it is answering
	stepTunnel       // it has become one
	stepOver
)

// Conn is what the exchanges of a client connection have in common.
type Conn struct {
	// Host is the host of the connection's loop.
	Host *Host
	// Info is what is known of the client.
	Info Info
	// Apps has its connections to the app.
	Apps Apps

	peer    peer
	waiting gate.Places // for requests of HTTP/2 that wait for keys
	head    int         // what a head counts for that has not come as a whole
}

// Init takes in a client connection, of which Info is known.
func (c *Conn) Init(h *Host, apps Apps) {
	c.Host, c.Apps, c.peer = h, apps, newPeer(&c.Info)
	c.waiting.Most = h.Limits.Waiting
}

// Begin settles the request whose head is in Req.
func (x *Exchange) Begin() {
	if x.conn.Info.Upstream == nil {
		x.decline(gate.Verdict{Reason: decision.InternalError, Cause: decision.Because("nobody knows where the app is")})
		return
	}
	x.meet()
	x.ask()
	x.judge()
}

// Decline refuses the request whose head is in Req without asking the gate.
func (x *Exchange) Decline(reason decision.Reason) { x.decline(gate.Verdict{Reason: reason}) }

func (x *Exchange) decline(v gate.Verdict) {
	x.meet()
	v.CORS = x.host.Gate.CORS(x)
	x.verdict = v
	x.observe("")
	x.refuse(v.Reason)
}

// meet takes in a request.
func (x *Exchange) meet() {
	h := x.host
	x.start = h.Now()
	x.isHead = string(x.Req.Method) == "HEAD"
	x.old = x.Req.Minor == 0 && !x.HTTP2
	x.whole = x.Empty()
	chooseID(&x.id, x.Req.Fields)
	if h.Tracer != nil {
		x.trace = trace.Begin(h.Tracer, text(x.Req.Method), x, x.start)
	}
}

// ask makes what the gate is asked.
func (x *Exchange) ask() {
	i := &x.conn.Info
	x.request = gate.Request{
		Method: text(x.Req.Method), Target: text(x.Req.Target), Host: text(x.Req.Host),
		NoHost: x.Req.Minor == 0 && len(x.Req.Host) == 0,
		Header: x, Port: i.Port, Remote: i.Remote, ClientCert: i.ClientCert, Time: x.start,
	}
	if x.HTTP2 {
		x.request.Places = &x.conn.waiting
	}
	if x.trace != nil {
		x.request.Trace = &x.trace.Gate
	}
}

// settle does what the verdict says.
func (x *Exchange) settle() {
	v := &x.verdict
	if v.WantBody > 0 && x.request.Body == nil {
		x.gather(v.WantBody)
		return
	}
	if v.Forward && !x.bound() {
		v.Forward, v.Reason = false, decision.BodyTooLarge
	}
	x.observe("")
	x.request.Body = nil
	if !v.Forward {
		x.refuse(v.Reason)
		return
	}
	if until := v.Until; !until.IsZero() {
		x.expiry.Do = func() { x.client.Guard(func() { x.expires(until) }) }
		x.host.Loop.Set(&x.expiry, until.Sub(x.host.Now()))
	}
	if x.safe = isSafe(text(x.Req.Method)); !x.HTTP2 {
		x.upgrade = upgradable(&x.Req)
	}
	x.forward()
}

// bound sets the largest size that the body may have. It returns false if the body is larger.
func (x *Exchange) bound() bool {
	own := x.host.Limits.Body
	if x.most = x.verdict.MaxBody; own > 0 && (x.most == 0 || own < x.most) {
		x.most = own
	}
	return x.most == 0 || max(x.Req.Length, int64(x.begun.Len())) <= x.most
}

// isSafe says that a method asks the app for nothing but an answer (RFC 9110 section 9.2.1): such a request may be sent again
// if it is not known whether the app got it.
func isSafe(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS":
		return true
	}
	return false
}

// forward sends the request to the app.
func (x *Exchange) forward() {
	x.step = stepForward
	x.conn.Apps.Open(x)
}

// Body takes a piece of the request's body. The Client gives no more while it returns false, until Want.
func (x *Exchange) Body(p []byte) (more bool) {
	if x.step == stepGather {
		return x.takeGathered(p)
	}
	if x.app == nil && x.step != stepForward {
		return true // nobody wants it any more
	}
	if x.sent += int64(len(p)); x.most > 0 && x.sent > x.most {
		x.fail(decision.BodyTooLarge, nil)
		return true
	}
	if x.app == nil {
		x.begun.Append(p)
		return false
	}
	if x.keepsMore(len(p)) {
		x.begun.Append(p)
	}
	x.app.Data(p)
	if more = x.app == nil || !x.app.Full(); !more {
		x.untaken()
	}
	return more
}

// BodyEnds says that all of the body has come.
func (x *Exchange) BodyEnds(trailers []head.Field) {
	x.whole = true
	if x.step == stepGather {
		x.endGather(trailers)
		return
	}
	if x.app == nil {
		if x.step == stepForward {
			x.tail = head.Clone(trailers)
		}
		return
	}
	if len(trailers) > 0 && x.keepsMore(sizeOf(trailers)) {
		x.tail = head.Clone(trailers)
	}
	x.app.Finish(trailers)
	x.await()
	if x.told {
		x.forget()
	}
}

// BodyBreaks says that the body cannot be read. The client's connection, or its stream, takes no more.
func (x *Exchange) BodyBreaks(err error) {
	switch x.step {
	case stepForward, stepGather:
		x.fail(reasonOf(err), err)
	case stepWait: // another goroutine has it
		x.leave()
	default: // an answer that breaks off must not look whole
		x.abandon()
		x.client.Break(nil)
		x.over()
	}
}

// BodySlow says that the body comes too slowly.
func (x *Exchange) BodySlow() { x.fail(decision.RequestTimeout, nil) }

// AppTakes says that the app takes more of the body.
func (x *Exchange) AppTakes() {
	if !x.whole {
		if x.stuck {
			x.stuck = false
			x.timer.Rest()
		}
		x.client.Want()
	}
}

// ClientTakes says that the client takes more of the answer.
func (x *Exchange) ClientTakes() {
	if x.app != nil {
		x.app.Want()
	}
}

// ClientGone says that nobody waits for the answer any more.
func (x *Exchange) ClientGone() {
	if x.step == stepWait { // another goroutine has it
		x.leave()
		return
	}
	x.abandon()
	x.over()
}

// abandon gives the app up.
func (x *Exchange) abandon() {
	if x.inquiry != nil && x.waits != nil {
		w := x.waits
		x.waits = nil
		w.Cancel()
	}
	if app := x.app; app != nil {
		x.app = nil
		app.Cancel()
	}
}

// over ends the exchange.
func (x *Exchange) over() {
	if x.step == stepOver {
		return
	}
	x.step = stepOver
	client := x.client
	x.endTrace()
	x.release()
	client.Done()
}

// Values implements decision.Header.
func (x *Exchange) Values(name string) []string {
	from := len(x.values)
	for i := range x.Req.Fields {
		f := &x.Req.Fields[i]
		if len(f.Name) == len(name) && f.Kind != head.Host && strings.EqualFold(text(f.Name), name) {
			f.Seen = true
			x.values = append(x.values, text(f.Value))
		}
	}
	if from == len(x.values) {
		return nil
	}
	return x.values[from:len(x.values):len(x.values)]
}

// chooseID makes the client's request id the request's if it is one value and sane, and else makes one.
func chooseID(id *requestid.ID, fields []head.Field) {
	given, n := "", 0
	for i := range fields {
		if f := &fields[i]; f.Kind == head.RequestID && strings.EqualFold(text(f.Name), requestid.Header) {
			given = text(f.Value)
			n++
		}
	}
	if n != 1 {
		given = ""
	}
	id.Choose(given)
}

var _ decision.Header = (*Exchange)(nil)

// Whole reports whether all of the request has come.
func (x *Exchange) Whole() bool { return x.whole }

// Empty reports whether the request has no body.
func (x *Exchange) Empty() bool { return !x.Req.Chunked && x.Req.Length == 0 }
