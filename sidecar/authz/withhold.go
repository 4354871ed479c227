package authz

import (
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// The causes of verdicts that a gateway cannot be told.
const (
	errPathDiffers decision.ShapeError = "the path's canonical form is another, and the gateway would forward it as it was sent; paths.forward: AsSent judges it in every way to read it"
	errHostDiffers decision.ShapeError = "the host's canonical form is another, and the gateway would forward it as it was sent"
	errOwnAnswer   decision.Because    = "the answer would be the guard's own, such as to a preflight, and the gateway passes only refusals on"
	errSpoof       decision.Because    = "a header came that the app may take for one of the guard's, and the gateway cannot be told to remove it"
)

// withhold refuses a request that may be forwarded only with a change that a gateway does not make: what is matched is what is
// forwarded.
func (q *question) withhold(v *gate.Verdict) {
	no := decision.Refusal{}
	sent, _, _ := strings.Cut(q.Target, "?")
	path, _, _ := strings.Cut(v.Target, "?")
	switch {
	case !v.Forward && v.Reason.Answered() && !q.edits:
		no = decision.Refusal{Reason: decision.BadRequest, Cause: errOwnAnswer}
	case !v.Forward:
		return
	case path != sent:
		no = decision.Refusal{Reason: decision.BadPath, Cause: errPathDiffers}
	case !strings.EqualFold(v.Host, q.Host):
		no = decision.Refusal{Reason: decision.BadHost, Cause: errHostDiffers}
	case v.MaxBody > 0 && q.size > v.MaxBody:
		no.Reason = decision.BodyTooLarge
	case q.edits && v.Target != q.Target && parametersRepeat(q.Target):
		no = decision.Refusal{Reason: decision.BadRequest, Cause: errQueryRepeats}
	case !q.edits && q.spoofs(v):
		no = decision.Refusal{Reason: decision.BadRequest, Cause: errSpoof}
	default:
		return
	}
	*v = gate.Verdict{
		Reason: no.Reason, Cause: no.Cause, Path: v.Path, CORS: v.CORS, Audit: v.Audit,
		Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject,
	}
}

// spoofs reports whether the client sent a field that would have to be removed.
func (q *question) spoofs(v *gate.Verdict) bool {
	for name := range q.names {
		if v.Edit.Spoofs(name) {
			return true
		}
	}
	return false
}
