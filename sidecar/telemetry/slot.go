package telemetry

import (
	"net/netip"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
)

// slot is one request that is remembered. What lies in the request's memory is copied into memory that the next request in the slot
// uses again.
type slot struct {
	next   *slot  // in its queue
	filled uint64 // how often it was

	at, own      int64 // nanoseconds, since 1970 and of work
	refused      bool
	reason       decision.Reason
	policy, rule string
	cause        string
	details      decision.Details
	audits       []auditLine
	port         int
	remote       netip.Addr
	texts        []byte // one after the other
	ends         [len(kept)]uint16
}

// kept are how much is kept of each text that a client chose, in bytes.
var kept = [...]int{requestid.Max, 32, 255, 512, 128, 16}

// The texts, in the order of kept.
const (
	textID = iota
	textMethod
	textHost
	textPath
	textKeyID
	textProtocol
)

// set fills the slot. It allocates nothing if no text is longer than those before, and no Audit policy has a say.
func (s *slot) set(r *Record, details *decision.Details, cause string) {
	*s = slot{
		filled: s.filled + 1,
		at:     r.Time.UnixNano(), own: int64(r.Own), refused: r.refused(), reason: r.Reason, policy: r.Policy, rule: r.Rule,
		cause: cause, audits: s.audits[:0], port: r.Port, remote: r.Remote, texts: s.texts[:0],
	}
	if details != nil {
		s.policy, s.details = details.Policy, *details
	}
	for i, text := range [len(kept)]string{r.RequestID, r.Method, r.Host, r.Path, r.KeyID, r.Protocol} {
		s.texts = append(s.texts, text[:min(len(text), kept[i])]...)
		s.ends[i] = uint16(len(s.texts)) //nolint:gosec // some 1000 at most
	}
	for _, a := range r.Audit[:min(len(r.Audit), mostAudits)] {
		s.audits = append(s.audits, auditOf(a))
	}
}

// raw returns what is kept of a text, in the slot's own memory.
func (s *slot) raw(i int) []byte {
	from := uint16(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.texts[from:s.ends[i]]
}

// text returns what is kept of a text, printable.
func (s *slot) text(i int) string { return printable.Text(string(s.raw(i)), kept[i]) }

// show returns the request as it is shown.
func (s *slot) show() Remembered {
	out := Remembered{
		Decision: verdict(!s.refused),
		Refused: Refused{
			Time: time.Unix(0, s.at).UTC(), RequestID: s.text(textID), Reason: s.reason, Cause: s.cause, Policy: s.policy, Rule: s.rule,
			Details: s.details, Method: s.text(textMethod), Host: s.text(textHost), Path: s.text(textPath), KeyID: s.text(textKeyID),
		},
		Protocol: s.text(textProtocol), Port: s.port, OwnMicros: time.Duration(s.own).Microseconds(),
		Audit: append([]auditLine(nil), s.audits...),
	}
	if s.remote.IsValid() {
		out.Remote = s.remote.String()
	}
	return out
}
