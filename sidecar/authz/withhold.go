package authz

import (
	"iter"
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
// forwarded. names are those of the client's header fields that the gateway cannot be told to remove. refusalsOnly says that an answer
// of the guard's own, which is no refusal, would be taken for leave to forward the request.
func withhold(v *gate.Verdict, r *gate.Request, names iter.Seq[string], refusalsOnly bool) {
	no := decision.Refusal{}
	sent, _, _ := strings.Cut(r.Target, "?")
	path, _, _ := strings.Cut(v.Target, "?")
	switch {
	case !v.Forward && v.Reason.Answered() && refusalsOnly:
		no = decision.Refusal{Reason: decision.BadRequest, Cause: errOwnAnswer}
	case !v.Forward:
		return
	case path != sent:
		no = decision.Refusal{Reason: decision.BadPath, Cause: errPathDiffers}
	case !strings.EqualFold(v.Host, r.Host):
		no = decision.Refusal{Reason: decision.BadHost, Cause: errHostDiffers}
	default:
		for name := range names {
			if v.Edit.Spoofs(name) {
				no = decision.Refusal{Reason: decision.BadRequest, Cause: errSpoof}
				break
			}
		}
	}
	if no.Refused() {
		*v = gate.Verdict{
			Reason: no.Reason, Cause: no.Cause, Path: v.Path, CORS: v.CORS, Audit: v.Audit,
			Issuer: v.Issuer, KeyID: v.KeyID, Subject: v.Subject,
		}
	}
}
