package authz

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// question is a request that somebody asks about.
type question struct {
	gate.Request
	start    time.Time
	id       string           // of the request
	protocol string           // by which it is asked
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
	now     func() time.Time
	port    int // that rules see; 0: none
	most    int64

	running atomic.Int64
}

// settle returns what becomes of a request, and tells the observer. The zero Verdict refuses.
func (j *judge) settle(ctx context.Context, q *question) gate.Verdict {
	defer j.running.Add(-1)
	q.Port = j.port
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
		Time: q.start, Own: j.now().Sub(q.start), RequestID: q.id,
		Forwarded: v.Forward, Reason: v.Reason, Cause: v.Cause, Policy: v.Policy, Rule: v.Rule,
		Method: q.Method, Host: q.Host, Path: v.Path, Protocol: q.protocol, Port: q.Port, Remote: q.Remote,
		Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject, Audit: v.Audit,
	}
	if v.Explainable() {
		why := v.Why(&q.Request)
		rec.Why = &why
	}
	j.observe(&rec)
}
