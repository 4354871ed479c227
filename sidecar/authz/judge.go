package authz

import (
	"context"
	"iter"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// question is a request that somebody asks about.
type question struct {
	gate.Request
	start    time.Time
	id       string         // of the request
	protocol string         // by which it is asked
	trace    *trace.Request // nil: it is not traced
	traceID  tracing.TraceID
	refused  decision.Refusal // before the gate is asked
	size     int64            // bytes of the body; 0 or less: nobody knows

	// edits says that the gateway can be told to remove any field, and passes answers of any status on.
	edits bool
	// names are those of the client's header fields, where it cannot.
	names iter.Seq[string]
}

// judge settles questions, however they are asked. It is safe for concurrent use.
type judge struct {
	gate    *gate.Gate
	observe func(*telemetry.Record)
	tracer  *tracing.Tracer // nil: nothing is traced
	now     func() time.Time
	port    int // that rules see; 0: none
	most    int64

	running atomic.Int64
}

// settle returns what becomes of a request, and tells the observer. The zero Verdict refuses.
func (j *judge) settle(ctx context.Context, q *question) gate.Verdict {
	defer j.running.Add(-1)
	q.Port = j.port
	if j.tracer != nil {
		q.beginTrace(j.tracer)
	}
	v := gate.Verdict{Reason: q.refused.Reason, Cause: q.refused.Cause}
	switch {
	case j.running.Add(1) > j.most:
		v = gate.Verdict{Reason: decision.Overloaded}
	case !q.refused.Refused():
		if q.Body == nil {
			q.Body = &gate.Body{} // nobody shows it: what it holds is in doubt
		}
		v = j.gate.JudgeWaiting(ctx, &q.Request)
		q.withhold(&v)
	}
	j.tell(q, &v)
	return v
}

// tell tells the observer of a request's fate.
func (j *judge) tell(q *question, v *gate.Verdict) {
	rec := telemetry.Record{
		Trace: q.trace.ID(),
		Time:  q.start, Own: j.now().Sub(q.start), RequestID: q.id,
		Forwarded: v.Forward, Reason: v.Reason, Cause: v.Cause, Policy: v.Policy, Rule: v.Rule,
		Method: q.Method, Host: q.Host, Path: v.Path, Protocol: q.protocol, Port: q.Port, Remote: q.Remote,
		Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject, Audit: v.Audit,
	}
	if v.Explainable() {
		why := v.Why(&q.Request)
		rec.Why = &why
	}
	j.observe(&rec)
	if q.trace != nil {
		q.endTrace(&rec)
	}
}

// beginTrace begins the trace of a question, as part of the trace that the request is in. The gateway forwards the request, in a
// span of its own.
func (q *question) beginTrace(t *tracing.Tracer) {
	if q.Header == nil {
		q.trace = trace.BeginUnread(t, q.start)
	} else {
		q.trace = trace.Begin(t, q.Method, q.Header, q.start)
	}
	if q.trace != nil {
		q.Trace, q.traceID = &q.trace.Gate, q.trace.ID()
	}
}

// endTrace hands over what is known of the question. A refusal's status is that of the gateway's answer, as far as it passes it on.
func (q *question) endTrace(rec *telemetry.Record) {
	status := http.StatusOK
	if !rec.Forwarded && !rec.Reason.Answered() {
		status = refuse.Table(rec.Reason).Status
	}
	q.trace.Judged(rec.Time.Add(rec.Own))
	q.trace.End(rec.Time.Add(rec.Own), &trace.End{
		Protocol: q.protocol, Port: q.Port, Status: status, Allowed: rec.Forwarded,
		Reason: rec.Reason, Policy: rec.Policy, Rule: rec.Rule, RequestID: q.id,
	})
}
