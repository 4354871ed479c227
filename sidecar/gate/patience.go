package gate

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// patience is how much a judgement may take, by estimates, where it must not hold others. What most requests need fits in, by the
// figures in sidecar/token/work.go: a new token by RS256 with 2048 bits (46 us), by EdDSA (75 us) or by ES256 (95 us), also with a proof
// by ES256 for one that is known. Whatever by itself takes more is far beyond it: RSA with 3072 bits (260 us), P-384 (1.2 ms), P-521
// (4.9 ms), decryption by RSA (1.5 ms and more). A loop with a hundred connections that all have such a request at once is through with them within the
// 20 ms that it may be held; and to hand a judgement to another goroutine and back takes 10 to 20 us, a tenth.
const patience = 200 * time.Microsecond

// messageWork is what it takes to read a byte of a message to an MCP server, at worst.
const messageWork = 40 * time.Nanosecond

// unjudged is the refusal of what is not looked at for want of time. The verdict is replaced once it is known that there was one.
var unjudged = decision.Refusal{Reason: decision.Overloaded}

// unknown is who brings a token that is not looked at.
var unknown = bearer{refused: &finding{refusal: unjudged}}

// text is a token that was read, or why it cannot be.
type text struct {
	token   *token.Token
	refusal decision.Refusal
}

func read(raw string) *text {
	t, no := token.Parse(raw)
	return &text{t, no}
}

// affords reads a token, and reports whether the request's budget suffices to verify it. The text is nil if it need not be read.
func (s *Snapshot) affords(sd *side, found token.Found, r *decision.Request) (*text, bool) {
	if sd.asks && token.Opaque(found.Raw) {
		return nil, true
	}
	if !r.Budget.Spend(token.ReadingWork(found.Raw)) {
		return nil, false
	}
	t := read(found.Raw)
	if t.refusal.Refused() || sd.asks && sd.introspects(t.token) {
		return t, true
	}
	var w token.Work
	bind := time.Duration(0)
	for i, is := range sd.issuers {
		if is.verifier.Wants(t.token) && found.Takers.Has(i) {
			is.verifier.Work(t.token, r.Now, &w)
		}
	}
	if w.Total() > 0 { // else it is refused before
		bind = s.program.BindWork(t.token.Unverified(), len(found.Raw))
	}
	return t, r.Budget.Spend(w.Total() + bind)
}

// lackTime marks a verdict for which something was not done. Where it hangs on that, it is none, and refuses.
func (v *Verdict) lackTime(r *decision.Request) {
	proved := v.proved
	if v.Audit = nil; r.Budget.Over() {
		*v = Verdict{Reason: unjudged.Reason, Cause: tooMany, Path: v.Path, CORS: v.CORS}
	}
	if v.lack == nil {
		v.lack = &lack{}
	}
	v.lack.time, v.lack.proved = true, proved
}

// tooMany is why a request is refused that was not judged.
const tooMany decision.Because = "to judge the request takes long, and too many like it wait for their turn already"
