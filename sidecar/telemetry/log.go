package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
)

// LogOptions bound the decision log. The zero value logs refusals only.
type LogOptions struct {
	// AllowEvery logs one of so many forwarded requests: 1 logs each, 0 none.
	AllowEvery uint64
	// PerReason is how many refusals a second are logged for each reason, with bursts of twice as many; default 10.
	PerReason float64
	// Subjects allows the claim sub of verified tokens in the log, and Scopes those of tokens that an Audit policy has no rule for. No other
	// claim value can get there.
	Subjects, Scopes bool
}

// DecisionLog writes a line for some requests, and remembers the last refusals and a sample of the others. It is safe for concurrent use.
type DecisionLog struct {
	log      logr.Logger
	opts     LogOptions
	allowed  atomic.Uint64
	refusals map[decision.Reason]*limited // one for every reason, read only
	audits   map[decision.Reason]*limited
	memory   *memory
	looks    looks
}

// limited is the budget of one reason.
type limited struct {
	limiter    *rate.Limiter
	suppressed atomic.Uint64
}

// NewDecisionLog returns a log that writes to l.
func NewDecisionLog(l logr.Logger, o LogOptions) *DecisionLog {
	if o.PerReason == 0 {
		o.PerReason = 10
	}
	d := &DecisionLog{
		log: l, opts: o,
		refusals: map[decision.Reason]*limited{}, audits: map[decision.Reason]*limited{},
		looks: newLooks(time.Now), memory: newMemory(),
	}
	for _, reason := range decision.Reasons() {
		d.refusals[reason] = newLimited(o.PerReason)
		d.audits[reason] = newLimited(o.PerReason)
	}
	return d
}

func newLimited(perSecond float64) *limited {
	return &limited{limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, int(2*perSecond)))}
}

// Request remembers the request and logs it, or not: refusals, and verdicts of Audit policies to refuse, as far as the rate of their
// reason allows; other requests by sample.
func (d *DecisionLog) Request(r *Record) {
	l := d.budget(r)
	if l == nil {
		d.memory.keep(r, nil)
		if n := d.opts.AllowEvery; n == 0 || (d.allowed.Add(1)-1)%n != 0 {
			return
		}
		d.write(r, &decision.Details{Policy: r.Policy}, nil, 0)
		return
	}
	if !l.limiter.AllowN(r.Time, 1) {
		l.suppressed.Add(1)
		d.memory.keep(r, nil)
		return
	}
	details, audited := d.looks.into(r)
	d.memory.keep(r, &details)
	d.write(r, &details, audited, l.suppressed.Swap(0))
}

// budget returns the rate that the record falls under, or nil if it is to be sampled.
func (d *DecisionLog) budget(r *Record) *limited {
	if r.refused() {
		return d.refusals[r.Reason]
	}
	for _, a := range r.Audit {
		if !a.Allowed {
			return d.audits[a.Reason]
		}
	}
	return nil
}

func (d *DecisionLog) write(r *Record, details *decision.Details, audited []decision.AuditDetails, suppressed uint64) {
	kv := make([]any, 0, 54)
	add := func(key, value string) {
		if value != "" {
			kv = append(kv, key, value)
		}
	}
	add("requestID", printable.Text(r.RequestID, requestid.Max))
	add("trace_id", r.Trace.String())
	add("decision", verdict(!r.refused()))
	add("reason", string(r.Reason))
	add("cause", causeText(r.Cause))
	add("policy", details.Policy)
	add("rule", r.Rule)
	add("issuerEntry", details.IssuerEntry)
	if len(details.Audiences) > 0 {
		kv = append(kv, "audiences", details.Audiences)
	}
	add("nearestPolicy", details.NearestPolicy)
	add("nearestRule", details.NearestRule)
	add("failed", details.Failed)
	add("method", printable.Text(r.Method, 32))
	add("host", printable.Text(r.Host, 255))
	add("path", printable.Text(r.Path, 512))
	add("protocol", r.Protocol)
	if r.Port != 0 {
		kv = append(kv, "port", r.Port)
	}
	if r.Remote.IsValid() {
		add("remote", r.Remote.String())
	}
	add("issuer", printable.Text(r.Issuer, 255))
	add("keyID", printable.Text(r.KeyID, 128))
	if d.opts.Subjects {
		add("subject", printable.Text(r.Subject, 128))
	}
	kv = append(kv, "ownMicros", r.Own.Microseconds())
	if len(r.Audit) > 0 {
		kv = append(kv, "x-bearerguard-audit", d.auditLines(r.Audit, audited))
	}
	if suppressed > 0 {
		kv = append(kv, "suppressed", suppressed)
	}
	d.log.Info("request decided", kv...)
}

// causeText is what the log says of a cause.
func causeText(c decision.Cause) string {
	if c == nil {
		return ""
	}
	return printable.Text(c.String(), 512)
}

// auditLine is one Audit verdict in the log.
type auditLine struct {
	Policy   string          `json:"policy"`
	Rule     string          `json:"rule,omitempty"`
	Decision string          `json:"decision"`
	Reason   decision.Reason `json:"reason"`
	Cause    string          `json:"cause,omitempty"`
	// IssuerEntry is the issuer that vouches for a token that the policy has no rule for, and Scopes are the token's, if they are allowed.
	IssuerEntry string   `json:"issuerEntry,omitempty"`
	Scopes      []string `json:"scopes,omitzero"`
}

// auditLines are the verdicts of Audit policies, with whose tokens they have no rule for, if that was found out.
func (d *DecisionLog) auditLines(all []Audit, audited []decision.AuditDetails) []auditLine {
	out := make([]auditLine, 0, len(all))
	for i, a := range all {
		line := auditOf(a)
		if i < len(audited) && audited[i].IssuerEntry != "" {
			line.IssuerEntry = audited[i].IssuerEntry
			if d.opts.Scopes {
				line.Scopes = audited[i].Scopes
			}
		}
		out = append(out, line)
	}
	return out
}

func auditOf(a Audit) auditLine {
	return auditLine{Policy: a.Policy, Rule: a.Rule, Decision: verdict(a.Allowed), Reason: a.Reason, Cause: causeText(a.Cause)}
}
