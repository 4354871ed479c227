package gate

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/mcp"
)

// readCall reads the message to an MCP server that a request brings, if a rule asks about it. It reports whether that settles
// the request: headers that contradict the body would have the guard and the app read two things.
func (s *Snapshot) readCall(r *Request, dr *decision.Request, v *Verdict) (final bool) {
	if !s.program.HasCalls() {
		return false
	}
	if dr.Call = mcp.Head(r.Method, dr.Header); dr.Call.Kind == decision.CallNone {
		return false
	}
	asks, enforced := s.program.AsksCall(dr)
	if !asks {
		dr.Call = nil
		return false
	}
	if r.Body != nil && dr.Call == decision.Unread && !dr.Budget.Spend(messageWork*time.Duration(len(r.Body.Data))) {
		if enforced {
			return true
		}
		dr.Budget.Spare()
		dr.Call = nil
		return false
	}
	var contradiction decision.Cause
	if dr.Call, contradiction = callOf(r, dr.Header); contradiction == nil || !enforced {
		return false
	}
	v.Reason, v.Cause = decision.MCPMismatch, contradiction
	if s.auditing {
		v.Audit = s.program.AuditRefused(dr, decision.Refusal{Reason: v.Reason, Cause: v.Cause})
	}
	return true
}

// callOf reads the message that a request brings, as far as its body is there. A cause says that its headers contradict it.
func callOf(r *Request, h decision.Header) (*decision.Call, decision.Cause) {
	call := mcp.Head(r.Method, h)
	if call != decision.Unread || r.Body == nil {
		return call, nil
	}
	return mcp.Read(h, r.Body.Data, r.Body.Whole)
}

// decide decides a request. Who brings no token and a message in doubt is asked for a token, if one is wanted whatever the
// message is: a client finds out so whom to get it from.
func (s *Snapshot) decide(r *decision.Request, subject *decision.Subject) decision.Decision {
	if call := r.Call; subject == nil && call != nil && call.Kind == decision.CallDoubtful {
		r.Call = decision.Unread
		d := s.program.Decide(r, nil)
		if r.Call = call; d.Reason == decision.NoToken {
			return d
		}
	}
	return s.program.Decide(r, subject)
}

// settleCall has the caller read the body where what it holds could make a difference, and says why a message is in doubt
// where that may be what led to a refusal.
func settleCall(dr *decision.Request, v *Verdict) {
	switch {
	case dr.Call == nil:
	case dr.Call.Kind == decision.CallUnread && (v.Forward || v.Reason == decision.InsufficientScope || v.Reason == decision.InsufficientAuthentication):
		*v = Verdict{WantBody: mcp.MaxBody, Reason: decision.InternalError, Path: v.Path, CORS: v.CORS}
	case dr.Call.Kind == decision.CallDoubtful && (v.Reason == decision.NoRule || v.Reason == decision.DeniedByRule) && v.Cause == nil:
		v.Cause = dr.Call.Doubt
	}
}
