package telemetry

import (
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

// perReason is how many refusals of each reason Recent returns, so that many of one kind do not hide the others.
const perReason = 8

// Refused is a refusal that is kept to be shown. Like the log, it has no value of a token, a key or a claim.
type Refused struct {
	// Time is when the request arrived.
	Time time.Time `json:"time"`
	// RequestID is the one that the client was told.
	RequestID string `json:"requestID,omitempty"`
	// Reason and Cause say why it was refused; Cause is empty where the reason says it all.
	Reason decision.Reason `json:"reason"`
	Cause  string          `json:"cause,omitempty"`
	// Policy is "namespace/name" and Rule the name of the rule that decided; Rule is empty if none did. Of a token that was
	// not taken, Policy is the one that IssuerEntry is in.
	Policy string `json:"policy,omitempty"`
	Rule   string `json:"rule,omitempty"`
	decision.Details
	// Method, Host and Path are as in the log.
	Method string `json:"method,omitempty"`
	Host   string `json:"host,omitempty"`
	Path   string `json:"path,omitempty"`
	// Remote is the address of the connection's peer, KeyID the header parameter kid of the token.
	Remote string `json:"remote,omitempty"`
	KeyID  string `json:"keyID,omitempty"`
}

// Remembered is a request that is kept to be shown, whatever became of it. It has no value of a token, a key or a claim, and no
// query.
type Remembered struct {
	// Decision is "allow" or "deny".
	Decision string `json:"decision"`
	Refused
	Protocol string `json:"protocol,omitempty"`
	Port     int    `json:"port,omitempty"`
	// OwnMicros is how long the sidecar itself took, in microseconds.
	OwnMicros int64 `json:"ownMicros"`
	// Audit has the verdicts of Audit policies, the first four.
	Audit []auditLine `json:"audit,omitempty"`
}

// Recent returns the last refusals, at most 8 for each reason, the newest first. Those that were not logged, since there were too
// many, say less of why.
func (d *DecisionLog) Recent() []Refused {
	out := []Refused{}
	for _, r := range d.memory.listEach(mostRefused, perReason, func(s *slot) bool { return s.refused }) {
		out = append(out, r.Refused)
	}
	return out
}

// Requests returns requests that are remembered, at most so many, the newest first: the last refusals, and a sample of those that
// were let through. With an id, they are those that have it; with a decision, those that ended so.
func (d *DecisionLog) Requests(id, decision string, most int) []Remembered {
	return d.memory.list(most, func(s *slot) bool {
		return (id == "" || string(s.raw(textID)) == id) && (decision == "" || verdict(!s.refused) == decision)
	})
}
