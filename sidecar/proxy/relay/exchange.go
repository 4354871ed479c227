package relay

import (
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// exchange is one request and its answer. It is pooled; what it points to is valid until the connection reads again.
type exchange struct {
	c      *conn
	start  time.Time
	req    head.Request
	res    head.Response
	values []string // storage for Values
	out    []byte   // a head that is being made
	body   body

	copying copying // the answer's body
	id      requestid.ID
	record  telemetry.Record
	request gate.Request
	why     gate.Why       // of a refusal
	trace   *trace.Request // nil: the request is not traced
	status  int            // that the client is answered with

	headBytes int    // of the request
	isHead    bool   // the method is HEAD
	upgrade   string // the protocol that the app may switch to; empty: none
	answer    string // gate.Edit.AnswerProtocol
	then      after  // what becomes of the connection
	safe      bool   // the method is safe (RFC 9110 section 9.2.1)
	http2     bool   // the client speaks HTTP/2
	parked    next   // what is waited for without a goroutine; nextEnd: nothing
	interim   int    // interim answers so far
	closing   bool   // one of them says that the app's connection ends
	names     gate.Edit
	cors      gate.CORS // what the answer says of it

	begun  gate.Body // what has been read of the body for the gate
	data   []byte    // the data of a chunked one; a block
	held   []byte    // where the head is, if that is not the buffer any more; a block
	asked  bool      // the client has been asked for its body
	broken bool      // the body cannot be read
	large  bool      // there is more of the body than was read for the gate
}

var exchanges = sync.Pool{New: func() any {
	return &exchange{
		req:    head.Request{Fields: make([]head.Field, 0, fieldRoom)},
		res:    head.Response{Fields: make([]head.Field, 0, fieldRoom)},
		values: make([]string, 0, 8),
	}
}}

func newExchange(c *conn) *exchange {
	x := exchanges.Get().(*exchange)
	x.c = c
	return x
}

// release gives the exchange back. Nothing of the request stays in it.
func (x *exchange) release() {
	if x.trace != nil {
		x.endTrace()
	}
	drop(x.out)
	drop(x.data)
	drop(x.held)
	req, res, values := x.req.Fields, x.res.Fields, x.values
	clear(req[:cap(req)])
	clear(res[:cap(res)])
	clear(values[:cap(values)])
	*x = exchange{req: head.Request{Fields: req[:0]}, res: head.Response{Fields: res[:0]}, values: values[:0]}
	if cap(req) > 0 {
		exchanges.Put(x)
	}
}

// serve serves the request whose head is the first n bytes read. It reports whether the connection can take another.
func (x *exchange) serve(n int) (again bool) {
	c := x.c
	if err := head.ParseRequest(c.in.buf.bytes()[:n], c.relay.Limits.Head, &x.req); err != nil {
		if f := head.ForeignOf(c.in.buf.bytes()[:n]); f != "" {
			err = f
		}
		return x.reject(err)
	}
	if l := c.relay.Limits.Target; l > 0 && len(x.req.Target) > l {
		return x.reject(head.ErrTarget)
	}
	return x.run(n)
}

// run serves the request that has been parsed, whose head is the first n bytes in the buffer.
func (x *exchange) run(n int) (again bool) {
	c := x.c
	if !c.enter(phaseBusy) {
		return false
	}
	x.start = c.relay.Now()
	c.in.buf.take(n)
	x.headBytes = n
	x.body.begin(&x.req)
	x.isHead = string(x.req.Method) == "HEAD"
	ends.ChooseID(&x.id, x.req.Fields)
	if c.relay.Tracer != nil {
		x.trace = trace.Begin(c.relay.Tracer, text(x.req.Method), x, x.start)
	}
	v := x.judge()
	if v.WantBody > 0 {
		v = x.judgeBody(&v)
	}
	if v.Forward && !x.body.bound(v.MaxBody, c.relay.Limits.Body) {
		v.Forward, v.Reason = false, decision.BodyTooLarge
	}
	x.observe(&v, "")
	if x.request.Body != nil {
		x.letBody()
	}
	x.cors = v.CORS
	if v.Forward {
		return x.forward(&v)
	}
	if x.broken || x.large || !x.req.KeepAlive || !x.body.skippable(&x.req) {
		x.refuse(&v, closeAfter)
		c.linger()
		return false
	}
	return x.refuse(&v, keepAlive) && x.skipBody()
}

// judge asks the gate.
func (x *exchange) judge() gate.Verdict {
	x.request = gate.Request{
		Method: text(x.req.Method), Target: text(x.req.Target), Host: text(x.req.Host),
		NoHost: x.req.Minor == 0 && len(x.req.Host) == 0,
		Header: x, Port: x.c.info.Port, Remote: x.c.info.Remote, ClientCert: x.c.info.ClientCert, Time: x.start,
		Client: x,
	}
	if x.trace != nil {
		x.request.Trace = &x.trace.Gate
	}
	return x.c.relay.Gate.JudgeWaiting(x.c.relay.ctx, &x.request)
}

// Values implements decision.Header.
func (x *exchange) Values(name string) []string {
	from := len(x.values)
	for i := range x.req.Fields {
		f := &x.req.Fields[i]
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

// observe tells the observer of a request's fate, and its cause if it is malformed.
func (x *exchange) observe(v *gate.Verdict, cause string) {
	r := x.c.relay
	if r.Observe == nil {
		return
	}
	x.record = telemetry.Record{
		Trace: x.trace.ID(),
		Time:  x.start, Own: r.Now().Sub(x.start), RequestID: x.id.Text(),
		Forwarded: v.Forward, Reason: v.Reason, Cause: v.Cause, Policy: v.Policy, Rule: v.Rule, Audit: v.Audit,
		Method: text(x.req.Method), Host: text(x.req.Host), Path: v.Path, Protocol: x.protocol(),
		Port: x.c.info.Port, Remote: x.c.info.Remote,
		Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject,
	}
	if x.trace != nil {
		x.trace.Judged(x.start.Add(x.record.Own))
	}
	if cause != "" {
		x.record.Cause = decision.Because(cause)
	}
	if v.Explainable() {
		x.why = v.Why(&x.request)
		x.record.Why = &x.why
	}
	r.Observe(&x.record)
	if v.Forward { // a long stream keeps no snapshot
		x.why, x.record.Why = gate.Why{}, nil
	}
}

// endTrace hands over what is known of the request.
func (x *exchange) endTrace() {
	rec := &x.record
	x.trace.End(x.c.relay.Now(), &trace.End{
		Protocol: x.protocol(), Port: x.c.info.Port, Secure: x.c.info.Secure, Status: x.status, Allowed: rec.Forwarded,
		Reason: rec.Reason, Policy: rec.Policy, Rule: rec.Rule, RequestID: x.id.Text(),
	})
}

func (x *exchange) protocol() string {
	switch {
	case x.http2:
		return "HTTP/2.0"
	case x.req.Minor == 0 && len(x.req.Method) > 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// text is the bytes as a string without a copy: valid as long as they are.
func text(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the buffer is not written to while the string is used
}

var _ decision.Header = (*exchange)(nil)
