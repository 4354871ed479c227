package exchange

import (
	"cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// observe tells the observer of a request's fate, and its cause if it is malformed.
func (x *Exchange) observe(cause string) {
	h, v := x.host, &x.verdict
	now := h.Now()
	own := now.Sub(x.start) - x.late
	if x.trace != nil {
		x.trace.Judged(now)
	}
	if h.Observe == nil {
		return
	}
	r := &h.record
	*r = telemetry.Record{
		Trace: x.trace.ID(),
		Time:  x.start, Own: own, RequestID: x.id.Text(),
		Forwarded: v.Forward, Reason: v.Reason, Cause: v.Cause, Policy: v.Policy, Rule: v.Rule, Audit: v.Audit,
		Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject,
	}
	if cause != "" {
		r.Cause = decision.Because(cause)
	}
	if v.Explainable() {
		h.why = v.Why(&x.request)
		r.Why = &h.why
	}
	x.tell(r)
	h.why = gate.Why{}
}

// observeFailure tells of a request that was forwarded and not answered.
func (x *Exchange) observeFailure(reason decision.Reason, cause string) {
	x.failed = reason
	h, v := x.host, &x.verdict
	if h.Observe == nil {
		return
	}
	r := &h.record
	*r = telemetry.Record{
		Trace: x.trace.ID(),
		Time:  h.Now(), RequestID: x.id.Text(), Reason: reason, Cause: decision.Because(cause), Policy: v.Policy, Rule: v.Rule,
	}
	x.tell(r)
}

// tell adds to a record which request it is of, and hands it over.
func (x *Exchange) tell(r *telemetry.Record) {
	i := &x.conn.Info
	r.Method, r.Host, r.Path, r.Protocol = text(x.Req.Method), text(x.Req.Host), x.verdict.Path, x.protocol()
	r.Port, r.Remote = i.Port, i.Remote
	x.host.Observe(r)
	*r = telemetry.Record{}
}

// endTrace hands over what is known of the request.
func (x *Exchange) endTrace() {
	if x.trace == nil {
		return
	}
	v, i := &x.verdict, &x.conn.Info
	reason := cmp.Or(x.failed, v.Reason)
	if x.unjudged() {
		reason = x.failed
	}
	x.trace.End(x.host.Now(), &trace.End{
		Protocol: x.protocol(), Port: i.Port, Secure: i.Secure, Status: x.status, Allowed: v.Forward && x.failed == "",
		Reason: reason, Policy: v.Policy, Rule: v.Rule, RequestID: x.id.Text(),
	})
}

func (x *Exchange) protocol() string {
	switch {
	case x.HTTP2:
		return "HTTP/2.0"
	case x.old:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}
