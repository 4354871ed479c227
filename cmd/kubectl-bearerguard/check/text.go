package check

import (
	"fmt"
	"io"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Text writes the report for people.
func (r Report) Text(w io.Writer) {
	switch {
	case r.Reason.Answered():
		fmt.Fprintf(w, "ANSWERED %d %s: the sidecar answers, and the app does not get it\n", r.Status, r.Reason)
	case r.Allowed:
		fmt.Fprintf(w, "ALLOWED  %s%s\n", r.Reason, by(r.Policy, r.Rule))
		fmt.Fprintf(w, "  the app gets %s\n", r.Target)
		for _, h := range r.Headers {
			fmt.Fprintf(w, "  with         %s\n", h)
		}
		for _, l := range r.LeftOut {
			fmt.Fprintf(w, "  without      %s: left out: %s\n", l.Header, l.Cause)
		}
	default:
		fmt.Fprintf(w, "REFUSED  %d %s%s\n", r.Status, r.Reason, by(r.Policy, r.Rule))
		if r.Cause != "" {
			fmt.Fprintf(w, "  because: %s\n", r.Cause)
		}
		r.details(w)
		fmt.Fprintf(w, "  the client is told: %s\n", r.Detail)
	}
	for _, h := range r.Answer {
		fmt.Fprintf(w, "  the answer says %s\n", h)
	}
	if r.Body != "" {
		fmt.Fprintf(w, "  and is          %s\n", r.Body)
	}
	r.needs(w)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "  warning: %s\n", warning)
	}
	r.issuers(w)
	for _, rule := range r.Rules {
		writeRule(w, rule)
	}
	for _, a := range r.Audit {
		fmt.Fprintf(w, "\naudit policy %s would say: %s%s\n", a.Policy, a.Reason, by("", a.Rule))
		if a.Cause != "" {
			fmt.Fprintf(w, "  because: %s\n", a.Cause)
		}
	}
}

// needs writes what the request needs of its token.
func (r Report) needs(w io.Writer) {
	if r.TokenIgnored {
		fmt.Fprintln(w, "  nobody looks at a token: the rule has ignoreToken, so there are no identity headers and claims are empty")
	}
	if len(r.Scopes) > 0 {
		fmt.Fprintf(w, "  the request needs the scopes: %s\n", strings.Join(r.Scopes, " "))
	}
	if len(r.ACR) > 0 {
		fmt.Fprintf(w, "  the user has to log in with an acr of: %s\n", strings.Join(r.ACR, " "))
	}
	if r.MaxAge > 0 {
		fmt.Fprintf(w, "  the user has to have logged in at most %d s ago\n", r.MaxAge)
	}
}

// details writes what the decision log has, too.
func (r Report) details(w io.Writer) {
	if r.IssuerEntry != "" {
		fmt.Fprintf(w, "  issuer entry: %s of %s", r.IssuerEntry, r.Policy)
		if len(r.Audiences) > 0 {
			fmt.Fprintf(w, ", audiences %s", strings.Join(r.Audiences, ", "))
		}
		fmt.Fprintln(w)
	}
	if r.NearestRule != "" {
		fmt.Fprintf(w, "  nearest: rule %s of %s\n", r.NearestRule, r.NearestPolicy)
	}
	if r.Failed != "" {
		fmt.Fprintf(w, "  failed: %s\n", r.Failed)
	}
}

func (r Report) issuers(w io.Writer) {
	for i, is := range r.Issuers {
		if i == 0 {
			fmt.Fprintln(w, "\ntoken")
		}
		said := "takes the token"
		if is.Reason != "" {
			said = "does not take the token: " + string(is.Reason)
			if is.Cause != "" {
				said += ": " + is.Cause
			}
		}
		fmt.Fprintf(w, "  issuer %s of %s %s\n", is.Issuer, is.Policy, said)
	}
}

func writeRule(w io.Writer, r decision.RuleReport) {
	state := "does not match the request"
	switch {
	case r.Fits:
		state = "fits"
	case r.Matches:
		state = "matches, but its conditions do not hold"
	}
	fmt.Fprintf(w, "\n%s rule %s of %s %s\n", strings.ToLower(r.Effect), r.Rule, r.Policy, state)
	if !r.Matches {
		for _, m := range r.Mismatches {
			fmt.Fprintf(w, "  - %s\n", m)
		}
		return
	}
	for _, c := range r.Conditions {
		if c.Holds {
			fmt.Fprintf(w, "  + %s holds\n", c.Field)
			continue
		}
		fmt.Fprintf(w, "  - %s: %s\n", c.Field, c.Problem)
	}
}

func by(policy, rule string) string {
	switch {
	case policy == "" && rule == "":
		return ""
	case policy == "":
		return ", by rule " + rule
	case rule == "":
		return ", by " + policy
	}
	return ", by rule " + rule + " of " + policy
}
