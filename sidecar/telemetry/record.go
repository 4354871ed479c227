package telemetry

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/api/tracing"
)

// Record is what is known of one request when its fate is settled. What takes a Record keeps nothing of it.
type Record struct {
	// Time is when the request arrived, Own the time that the sidecar itself took to settle it.
	Time time.Time
	Own  time.Duration
	// Trace is the id of the request's trace, if it is sampled; zero: it is not.
	Trace tracing.TraceID
	// RequestID is the id that the client, or the app, has of the request.
	RequestID string
	// Forwarded says that the request went to the app.
	Forwarded bool
	Reason    decision.Reason
	// Cause is what exactly led to a refusal, or what went wrong with the app or with the form of a message; nil where the
	// Reason says it all.
	Cause decision.Cause
	// Why finds out more about a refusal, and about those of Audit policies, which is asked only if somebody is to read it; nil: nothing
	// more is known.
	Why interface {
		Details() decision.Details
		Audited(verdicts []Audit) []decision.AuditDetails
	}
	// Policy is "namespace/name" and Rule the name of the rule that decided; empty if none did.
	Policy, Rule string
	// Audit has the verdicts of Audit policies.
	Audit []Audit
	// Method, Host and Path are as the client sent them; Path has no query.
	Method, Host, Path, Protocol string
	Port                         int
	Remote                       netip.Addr
	// Issuer is the issuer of a verified token, KeyID the header parameter kid of any token, Subject the claim sub of a
	// verified one.
	Issuer, KeyID, Subject string
}

// Audit is the verdict of one Audit policy, as the gate has it.
type Audit = decision.AuditResult

// details are what more is told of a refusal, fit to be shown. Policy is the record's, if it has one.
func (r *Record) details() decision.Details {
	var d decision.Details
	if r.Why != nil && r.refused() {
		d = r.Why.Details()
	}
	if r.Policy != "" {
		d.Policy = r.Policy
	}
	d.Audiences, d.Failed = audiences(d.Audiences), printable.Text(d.Failed, 512)
	return d
}

// audited is whose tokens Audit policies have no rule for, fit to be shown: one for each verdict, or none at all.
func (r *Record) audited() []decision.AuditDetails {
	if r.Why == nil || len(r.Audit) == 0 {
		return nil
	}
	all := r.Why.Audited(r.Audit)
	for i := range all {
		all[i].Scopes = scopes(all[i].Scopes)
	}
	return all
}

// Bounds of the scopes that are told of a token.
const (
	mostScopes = 64
	mostScope  = 128 // bytes
)

// scopes are those of a token that are told: the first ones that are scopes at all (RFC 6749 section 3.3) and not too long. Never nil.
func scopes(all []string) []string {
	out := []string{}
	for _, s := range all {
		if s == "" || len(s) > mostScope || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
			continue
		}
		if out = append(out, s); len(out) == mostScopes {
			break
		}
	}
	return out
}

// audiences are those of a policy that are told: the first few, since there may be many.
func audiences(all []string) []string {
	const most = 8
	var out []string
	for i, a := range all {
		if i == most {
			return append(out, "and "+strconv.Itoa(len(all)-i)+" more")
		}
		out = append(out, printable.Text(a, 255))
	}
	return out
}

// refused reports whether the client was told no: what the sidecar answers itself is neither forwarded nor refused.
func (r *Record) refused() bool { return !r.Forwarded && !r.Reason.Answered() }
