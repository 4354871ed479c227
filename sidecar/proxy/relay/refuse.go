package relay

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// reject refuses a request whose head or body cannot be understood, and ends the connection.
func (x *exchange) reject(err error) (again bool) {
	x.req.Method, x.req.Host, x.req.Fields = nil, nil, x.req.Fields[:0]
	reason, cause := ends.ReasonOf(err), ""
	if f, ok := errors.AsType[head.Foreign](err); ok {
		cause = x.c.relay.Meet(f, &x.c.info)
	} else {
		cause = ends.CauseOf(reason, err)
	}
	if x.id.None() {
		x.id.Make() // whatever the head says: nobody knows what it means
	}
	if x.start.IsZero() {
		x.start = x.c.relay.Now()
	}
	if x.trace == nil && x.c.relay.Tracer != nil {
		x.trace = trace.BeginUnread(x.c.relay.Tracer, x.start)
	}
	x.observe(&gate.Verdict{Reason: reason}, cause)
	x.refuse(&gate.Verdict{Reason: reason}, closeAfter)
	x.c.linger()
	return false
}

// refuse answers in place of the app. It reports whether the connection can go on.
func (x *exchange) refuse(v *gate.Verdict, then after) (again bool) {
	r := refuse.Render(v.Answer(x.id.Text(), x.trace.ID(), x.cors.Set), refuse.HTTP)
	x.status = r.Status
	if x.c.relay.draining.Load() {
		then = closeAfter
	}
	b := append(make([]byte, 0, 512+len(r.Body)), "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(r.Status)...)
	b = append(b, "\r\n"...)
	b = append(b, *x.c.relay.date.Load()...)
	for _, f := range r.Header {
		b = appendField(b, f.Name, f.Value)
	}
	if r.Status != http.StatusNoContent { // RFC 9110 section 8.6
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(r.Body)), 10)
		b = append(b, "\r\n"...)
	}
	switch {
	case then == closeAfter:
		b = append(b, "Connection: close\r\n"...)
	case x.req.Minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	b = append(b, "\r\n"...)
	if !x.isHead {
		b = append(b, r.Body...)
	}
	return x.c.write(b) == nil && then == keepAlive
}
