// Package explain is what a sidecar's admin port says of a request that somebody asks about: the verdict of its own rules, and how
// it came about. It is pure. What it says is meant for one who has the token, and the right to look into the pod; of a token that
// they cannot read, it shows no claim.
package explain

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

// Path is where the admin port is asked, by POST with a Question as JSON. Header has to be there, with any value: pages of browsers
// cannot send it, nor can most who have somebody else make a request.
const (
	Path   = "/debug/explain"
	Header = "X-Bearerguard-Explain"
	// MaxBytes is the largest question.
	MaxBytes = 192 << 10
)

// Question is a request to be explained. Its token is where a client has it, mostly in the field Authorization.
type Question struct {
	// Method, Target (path and query) and Host of the request.
	Method string `json:"method"`
	Target string `json:"target"`
	Host   string `json:"host"`
	// Header of the request. Names may be in any case.
	Header http.Header `json:"header,omitempty"`
	// Body of the request, which rules with mcp look at.
	Body []byte `json:"body,omitempty"`
	// Port that the client dials, and its address; none: 192.0.2.1.
	Port   int        `json:"port,omitempty"`
	Remote netip.Addr `json:"remote"`
}

// Answer is the explanation, and by what it was made.
type Answer struct {
	// Snapshot is the version of the rules in force, Built when they were loaded; empty without any.
	Snapshot string    `json:"snapshot,omitempty"`
	Built    time.Time `json:"built,omitzero"`
	Report   Report    `json:"report"`
}

// Report is the verdict and how it came about. Its JSON is that of "bearerguard check".
type Report struct {
	Allowed bool            `json:"allowed"`
	Reason  decision.Reason `json:"reason"`
	Cause   string          `json:"cause,omitempty"`
	Status  int             `json:"status,omitempty"`
	Detail  string          `json:"detail,omitempty"`
	Policy  string          `json:"policy,omitempty"`
	Rule    string          `json:"rule,omitempty"`
	decision.Details
	Answer       []string              `json:"answer,omitempty"`
	TokenIgnored bool                  `json:"tokenIgnored,omitempty"`
	Scopes       []string              `json:"scopes,omitempty"`
	ACR          []string              `json:"acr,omitempty"`
	MaxAge       int64                 `json:"maxAge,omitempty"`
	Target       string                `json:"target,omitempty"`
	Headers      []string              `json:"headers,omitempty"`
	LeftOut      []LeftOut             `json:"leftOut,omitempty"`
	Issuers      []Issuer              `json:"issuers,omitempty"`
	Rules        []decision.RuleReport `json:"rules,omitempty"`
	Audit        []Audit               `json:"audit,omitempty"`
	Notes        []string              `json:"notes,omitempty"`
}

// LeftOut is an identity header that the app does not get, and why.
type LeftOut struct {
	Policy string `json:"policy"`
	Header string `json:"header"`
	Cause  string `json:"cause"`
}

// Issuer says whether one issuer of one policy takes the token; Reason is empty if it does.
type Issuer struct {
	Policy string          `json:"policy"`
	Issuer string          `json:"issuer"`
	Reason decision.Reason `json:"reason,omitempty"`
	Cause  string          `json:"cause,omitempty"`
}

// Audit is what an Audit policy would have said.
type Audit struct {
	decision.AuditResult
	Cause string `json:"cause,omitempty"`
}

// documentation is an address that no client has (RFC 5737).
var documentation = netip.AddrFrom4([4]byte{192, 0, 2, 1})

// Explain answers a question at a time.
func Explain(g *gate.Gate, q *Question, now time.Time) Answer {
	header := http.Header{}
	for name, values := range q.Header {
		for _, v := range values {
			header.Add(name, v)
		}
	}
	r := gate.Request{
		Time: now, Method: q.Method, Target: q.Target, Host: q.Host, Header: header, Port: q.Port, Remote: q.Remote,
		Body: &gate.Body{Data: q.Body, Whole: true},
	}
	if !r.Remote.IsValid() {
		r.Remote = documentation
	}
	e := g.Explain(&r)
	return Answer{Snapshot: e.Snapshot, Built: e.Built, Report: report(&e)}
}

func report(e *gate.Explained) Report {
	v := &e.Verdict
	tell := func(c decision.Cause) string {
		switch {
		case c == nil:
			return ""
		case e.Readable:
			return c.Detail()
		}
		return c.String()
	}
	r := Report{
		Allowed: v.Forward, Reason: v.Reason, Cause: tell(v.Cause), Policy: v.Policy, Rule: v.Rule, Details: e.Details,
		TokenIgnored: v.TokenIgnored, Rules: e.Rules,
	}
	if r.Policy == "" {
		r.Policy = e.Details.Policy
	}
	if c := v.Challenge; c != nil {
		r.Scopes, r.ACR, r.MaxAge = c.Scopes, c.ACR, int64(c.MaxAge/time.Second)
	}
	for _, is := range e.Issuers {
		r.Issuers = append(r.Issuers, Issuer{is.Policy, is.Issuer, is.Refusal.Reason, tell(is.Refusal.Cause)})
		if is.Refusal.Reason == decision.IntrospectionUnavailable {
			r.Notes = []string{"an issuer that is asked about tokens is not asked for an explanation: send the request itself, and look for its id"}
		}
	}
	for _, a := range v.Audit {
		r.Audit = append(r.Audit, Audit{a, tell(a.Cause)})
	}
	for _, l := range e.LeftOut {
		r.LeftOut = append(r.LeftOut, LeftOut{l.Policy, l.Header, l.Why.Text()})
	}
	if v.Forward {
		r.forwarded(v, e.Readable)
	} else {
		r.refused(v)
	}
	return r
}

// forwarded adds what the app gets. Of a token that the one who asks cannot read, no claim is shown.
func (r *Report) forwarded(v *gate.Verdict, readable bool) {
	r.Target = v.Target
	for i := range v.Edit.Set.Len() {
		f := v.Edit.Set.At(i)
		if !readable {
			f.Value = "(not shown: the token is encrypted or opaque)"
		}
		r.Headers = append(r.Headers, f.Name+": "+f.Value)
	}
}

// refused adds what the client gets.
func (r *Report) refused(v *gate.Verdict) {
	answer := refuse.Render(v.Answer("", tracing.TraceID{}, nil), refuse.HTTP)
	r.Status = answer.Status
	if !v.Reason.Answered() {
		r.Detail = refuse.Table(v.Reason).Description
	}
	for _, f := range answer.Header {
		if f.Name == "Www-Authenticate" || v.Document != nil {
			r.Answer = append(r.Answer, f.Name+": "+f.Value)
		}
	}
}
