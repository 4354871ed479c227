package exchange

import (
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// observe tells the observer of a request's fate, and its cause if it is malformed.
func (x *Exchange) observe(cause string) {
	h, v := x.host, &x.verdict
	if h.Observe == nil {
		return
	}
	i := &x.conn.Info
	x.record = telemetry.Record{
		Trace: x.trace.ID(),
		Time:  x.start, Own: h.Now().Sub(x.start), RequestID: x.id.Text(),
		Forwarded: v.Forward, Reason: v.Reason, Cause: v.Cause, Policy: v.Policy, Rule: v.Rule, Audit: v.Audit,
		Method: text(x.Req.Method), Host: text(x.Req.Host), Path: v.Path, Protocol: x.protocol(),
		Port: i.Port, Remote: i.Remote,
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
	h.Observe(&x.record)
	if v.Forward { // a long stream keeps no snapshot
		x.why, x.record.Why = gate.Why{}, nil
	}
}

// observeFailure tells of a request that was forwarded and not answered.
func (x *Exchange) observeFailure(reason decision.Reason, cause string) {
	h := x.host
	if h.Observe == nil {
		return
	}
	was := x.record
	x.record = telemetry.Record{
		Trace: was.Trace,
		Time:  h.Now(), RequestID: x.id.Text(), Reason: reason, Cause: decision.Because(cause), Policy: was.Policy, Rule: was.Rule,
		Method: was.Method, Host: was.Host, Path: was.Path, Protocol: was.Protocol, Port: was.Port, Remote: was.Remote,
	}
	h.Observe(&x.record)
}

// endTrace hands over what is known of the request.
func (x *Exchange) endTrace() {
	if x.trace == nil {
		return
	}
	rec, i := &x.record, &x.conn.Info
	x.trace.End(x.host.Now(), &trace.End{
		Protocol: x.protocol(), Port: i.Port, Secure: i.Secure, Status: x.status, Allowed: rec.Forwarded,
		Reason: rec.Reason, Policy: rec.Policy, Rule: rec.Rule, RequestID: x.id.Text(),
	})
}

func (x *Exchange) protocol() string {
	switch {
	case x.HTTP2:
		return "HTTP/2.0"
	case x.Req.Minor == 0 && len(x.Req.Method) > 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}
