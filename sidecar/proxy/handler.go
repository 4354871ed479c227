package proxy

import (
	"log"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/relay"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// ServeHTTP settles one request.
func (c *http2Conn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	calls := &c.proxy.http2.calls
	defer calls.Add(-1)
	switch {
	case calls.Add(1) > int64(c.proxy.limits.HTTP2Requests):
		x := c.meet(r)
		defer x.endTrace()
		x.decline(w, r, gate.Verdict{Reason: decision.Overloaded})
	case c.info.Upstream == nil:
		x := c.meet(r)
		defer x.endTrace()
		x.decline(w, r, gate.Verdict{Reason: decision.InternalError, Cause: decision.Because("nobody knows where the app is")})
	case c.proxy.overHTTP2(r):
		c.forward(w, r)
	default:
		c.client.Serve(w, r)
	}
}

// meet takes in a request.
func (c *http2Conn) meet(r *http.Request) *exchange {
	x := &exchange{proxy: c.proxy, info: &c.info, id: requestid.Of(r.Header[requestid.Header]), start: c.proxy.now()}
	if c.proxy.tracer != nil {
		x.trace = trace.Begin(c.proxy.tracer, r.Method, r.Header, x.start)
	}
	return x
}

// endTrace hands over what is known of the request.
func (x *exchange) endTrace() {
	if x.trace == nil {
		return
	}
	rec := &x.record
	x.trace.End(x.proxy.now(), &trace.End{
		Protocol: "HTTP/2.0", Port: x.info.Port, Secure: x.info.Secure, Status: x.status, Allowed: rec.Forwarded,
		Reason: rec.Reason, Policy: rec.Policy, Rule: rec.Rule, RequestID: x.id,
	})
}

// decline refuses a request that the gate is not asked about.
func (x *exchange) decline(w http.ResponseWriter, r *http.Request, v gate.Verdict) {
	v.CORS = x.proxy.gate.CORS(r.Header)
	x.verdict = &v
	x.observe(r)
	x.refuse(w, r, v.Reason)
}

// forward settles a request that goes to the app in HTTP/2, if it does.
func (c *http2Conn) forward(w http.ResponseWriter, r *http.Request) {
	x := c.meet(r)
	defer x.endTrace()
	defer func() {
		if r.Context().Err() != nil {
			c.givenUp(x.start)
		}
	}()
	if err := c.proxy.read(r); err != nil {
		reason := ends.ReasonOf(err)
		x.decline(w, r, gate.Verdict{Reason: reason, Cause: because(ends.CauseOf(reason, err))})
		return
	}
	v := c.judge(r, x)
	var watch *relay.Watched
	if v.WantBody > 0 {
		watch = c.client.Watch(w, r, true)
		defer watch.Done()
		v = c.judgeBody(r, x, &v, watch)
	}
	v = c.bound(r, v)
	x.verdict = &v
	x.observe(r)
	x.request.Body = nil
	if !v.Forward {
		x.refuse(w, r, v.Reason)
		return
	}
	if watch == nil {
		watch = c.client.Watch(w, r, !streams(r))
		defer watch.Done()
	}
	c.proxy.forwarder.forward(watch, r, x)
}

// overHTTP2 reports whether a request of an HTTP/2 client goes to the app in HTTP/2 as well. gRPC and Connect need what
// only HTTP/2 has: calls of which both directions stream, with trailers that nobody drops.
func (p *Proxy) overHTTP2(r *http.Request) bool {
	switch p.app {
	case AppHTTP1:
		return false
	case AppH2C:
		return true
	case AppAuto:
	}
	return streams(r)
}

// streams reports whether a request may be a stream of messages, of gRPC or Connect.
func streams(r *http.Request) bool {
	const connect = "application/connect+"
	t := r.Header.Get("Content-Type")
	return refuse.FormOf(r.ProtoMajor, t) == refuse.GRPC || len(t) >= len(connect) && strings.EqualFold(t[:len(connect)], connect)
}

// heads are read into.
var heads = sync.Pool{New: func() any { return &head.Request{Fields: make([]head.Field, 0, 24)} }}

// read holds a request against the grammar that holds for those that go to the app over HTTP/1.1.
func (p *Proxy) read(r *http.Request) error {
	q := heads.Get().(*head.Request)
	defer func() {
		clear(q.Fields[:cap(q.Fields)])
		*q = head.Request{Fields: q.Fields[:0]}
		heads.Put(q)
	}()
	parts := head.Parts{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header, Length: r.ContentLength}
	if err := head.Assemble(&parts, head.Limits{Bytes: p.limits.HeadBytes, Fields: p.limits.Fields}, q); err != nil {
		return err
	}
	if len(r.RequestURI) > p.limits.URL {
		return head.ErrTarget
	}
	return nil
}

// judge asks the gate.
func (c *http2Conn) judge(r *http.Request, x *exchange) gate.Verdict {
	p, info := c.proxy, &c.info
	x.request = gate.Request{
		Method: r.Method,
		Target: r.RequestURI,
		Host:   r.Host,
		Header: r.Header,
		Port:   info.Port,
		Remote: info.Remote,

		ClientCert: info.ClientCert,
		Places:     c.client.Waiting(),
	}
	if x.trace != nil {
		x.request.Trace = &x.trace.Gate
	}
	return p.gate.JudgeWaiting(r.Context(), &x.request)
}

// judgeBody reads the beginning of the body and asks the gate again. The verdict refuses where the body cannot be read.
func (c *http2Conn) judgeBody(r *http.Request, x *exchange, first *gate.Verdict, watch *relay.Watched) gate.Verdict {
	body, reason := c.client.Gather(r, first.WantBody)
	if reason != "" {
		if watch.Slow() {
			reason = decision.RequestTimeout
		}
		return gate.Verdict{Reason: reason, Path: first.Path, CORS: first.CORS}
	}
	x.request.Body = &body
	return c.proxy.gate.JudgeWaiting(r.Context(), &x.request)
}

// bound refuses a request whose body is larger than may be forwarded.
func (c *http2Conn) bound(r *http.Request, v gate.Verdict) gate.Verdict {
	if most := c.proxy.mostBody(&v); v.Forward && most > 0 && r.ContentLength > most {
		return gate.Verdict{Reason: decision.BodyTooLarge, CORS: v.CORS, Path: v.Path, Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject}
	}
	return v
}

// mostBody is the largest body that may be forwarded, in bytes; 0: no bound.
func (p *Proxy) mostBody(v *gate.Verdict) int64 {
	if own := p.limits.Body; own > 0 && (v.MaxBody == 0 || own < v.MaxBody) {
		return own
	}
	return v.MaxBody
}

// givenUp counts a request that the client gave up, and ends the connection of a client that gives up too many: opening
// streams and resetting them costs it next to nothing (CVE-2023-44487).
func (c *http2Conn) givenUp(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := at.Unix(); s != c.second {
		c.second, c.resets = s, 0
	}
	if c.resets++; c.resets == c.proxy.limits.Resets+1 {
		c.proxy.log.V(1).Info("connection ended", "cause", "the client gives up too many requests")
		_ = c.net.Close()
	}
}

// refuse answers in place of the app.
func (x *exchange) refuse(w http.ResponseWriter, r *http.Request, reason decision.Reason) {
	c := x.verdict.Answer(x.id, x.trace.ID(), x.verdict.CORS.Set)
	c.Reason = reason
	res := refuse.Render(c, refuse.FormOf(r.ProtoMajor, r.Header.Get("Content-Type")))
	x.status = res.Status
	res.Write(w)
}

// observe tells the observer of a request's fate.
func (x *exchange) observe(r *http.Request) {
	p, v, info := x.proxy, x.verdict, x.info
	if p.observer == nil {
		return
	}
	now := p.now()
	if x.trace != nil {
		x.trace.Judged(now)
	}
	rec := &x.record
	*rec = telemetry.Record{
		Trace: x.trace.ID(),
		Time:  x.start, Own: now.Sub(x.start), RequestID: x.id,
		Forwarded: v.Forward, Reason: v.Reason, Cause: v.Cause, Policy: v.Policy, Rule: v.Rule,
		Method: r.Method, Host: r.Host, Path: v.Path, Protocol: r.Proto, Port: info.Port, Remote: info.Remote,
		Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject,
	}
	rec.Audit = v.Audit
	if v.Explainable() {
		why := x.verdict.Why(&x.request)
		rec.Why = &why
	}
	p.observer.Request(rec)
	if v.Forward { // a long stream keeps no snapshot
		rec.Why = nil
	}
}

// because is a cause of a text; nil without one.
func because(text string) decision.Cause {
	if text == "" {
		return nil
	}
	return decision.Because(text)
}

// stdLog gives net/http a place for its messages, which are about connections and come from clients' mistakes.
func stdLog(l logr.Logger) *log.Logger {
	return log.New(logWriter{l}, "", 0)
}

type logWriter struct{ log logr.Logger }

// Write logs one message at debug level.
func (w logWriter) Write(b []byte) (int, error) {
	w.log.V(1).Info("server", "message", strings.TrimSpace(string(b)))
	return len(b), nil
}
