package exchange

import (
	"errors"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// Reject refuses a request whose head cannot be understood. The client's connection, or its stream, takes no more.
func (x *Exchange) Reject(err error) {
	x.isHead = x.HTTP2 && string(x.Req.Method) == "HEAD"
	x.Req.Method, x.Req.Host = nil, nil
	if x.HTTP2 {
		chooseID(&x.id, x.Req.Fields)
	} else {
		x.id.Make() // whatever the head says: nobody knows what it means
		x.Req.Fields = x.Req.Fields[:0]
	}
	cause := causeOf(reasonOf(err), err)
	if f, ok := errors.AsType[head.Foreign](err); ok {
		cause = x.host.Foreign(f, &x.conn.Info)
	}
	x.start = x.host.Now()
	if x.host.Tracer != nil {
		x.trace = trace.BeginUnread(x.host.Tracer, x.start)
	}
	x.verdict = gate.Verdict{Reason: reasonOf(err)}
	x.observe(cause)
	x.refuse(x.verdict.Reason)
}

// refuse answers in place of the app.
func (x *Exchange) refuse(reason decision.Reason) {
	v := &x.verdict
	if v.Reason != reason { // it was let in, and failed later
		v = &gate.Verdict{Reason: reason}
	}
	r := refuse.Render(v.Answer(x.id.Text(), x.trace.ID(), x.verdict.CORS.Set), x.form())
	x.step, x.told, x.status = stepAnswer, true, r.Status
	last := x.isHead || len(r.Body) == 0
	x.client.Head(x, &Answer{Status: r.Status, Length: int64(len(r.Body)), None: x.Bodiless(r.Status), x: x, own: &r})
	if !last {
		x.client.Data(r.Body)
		x.client.Finish(nil)
	}
	x.answerEnds()
}

// form is how the client is told.
func (x *Exchange) form() refuse.Form {
	if !x.HTTP2 {
		return refuse.HTTP
	}
	return refuse.FormOf(2, x.contentType())
}

func (x *Exchange) contentType() string {
	for i := range x.Req.Fields {
		if f := &x.Req.Fields[i]; len(f.Name) == len("content-type") && strings.EqualFold(text(f.Name), "content-type") {
			return text(f.Value)
		}
	}
	return ""
}

// Streams reports whether the body of a request may be a stream of messages, of gRPC or Connect. Such calls need what only HTTP/2 has:
// both directions stream, and nobody drops trailers.
func Streams(x *Exchange) bool {
	const connect = "application/connect+"
	t := x.contentType()
	return x.form() == refuse.GRPC || len(t) >= len(connect) && strings.EqualFold(t[:len(connect)], connect)
}
