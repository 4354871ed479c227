package telemetry

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
)

// perReason is how many refusals are kept for each reason, so that many of one kind do not push out the others.
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

// recent is the last refusals of each reason.
type recent struct {
	mu   sync.Mutex
	kept map[decision.Reason][]Refused // guarded by mu; rings, the oldest at next
	next map[decision.Reason]int       // guarded by mu
}

func (k *recent) add(r Refused) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil {
		k.kept, k.next = map[decision.Reason][]Refused{}, map[decision.Reason]int{}
	}
	ring := k.kept[r.Reason]
	if len(ring) < perReason {
		k.kept[r.Reason] = append(ring, r)
		return
	}
	at := k.next[r.Reason]
	ring[at], k.next[r.Reason] = r, (at+1)%perReason
}

// list returns what is kept, the newest first.
func (k *recent) list() []Refused {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := []Refused{}
	for _, ring := range k.kept {
		out = append(out, ring...)
	}
	slices.SortStableFunc(out, func(a, b Refused) int { return b.Time.Compare(a.Time) })
	return out
}

// Recent returns the last refusals that were logged, at most 8 for each reason, the newest first.
func (d *DecisionLog) Recent() []Refused { return d.recent.list() }

// shown is printable text in memory of its own: what a Record has may be the request's.
func shown(s string, most int) string { return strings.Clone(printable.Text(s, most)) }

// keep keeps a refusal to be shown.
func (d *DecisionLog) keep(r *Record, details *decision.Details) {
	out := Refused{
		Time: r.Time, RequestID: shown(r.RequestID, requestid.Max), Reason: r.Reason, Cause: causeText(r.Cause), Policy: details.Policy, Rule: r.Rule, Details: *details,
		Method: shown(r.Method, 32), Host: shown(r.Host, 255), Path: shown(r.Path, 512), KeyID: shown(r.KeyID, 128),
	}
	if r.Remote.IsValid() {
		out.Remote = r.Remote.String()
	}
	d.recent.add(out)
}
