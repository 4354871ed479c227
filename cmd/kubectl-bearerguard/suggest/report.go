package suggest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/ruleset"
)

// Report is what is suggested, and what there is to know about it.
type Report struct {
	// Policy is the policy with the rules that it has and those that are suggested.
	Policy Policy `json:"policy"`
	// Rules are those that are suggested, with how many of the requests each lets in.
	Rules []RuleCount `json:"rules"`
	// Lines is how many lines were read, and Others how many of them have nothing to do with the policy.
	Lines  int `json:"lines"`
	Others int `json:"others"`
	// Allowed are requests that rules of the policy let in already, Covered those that the suggested rules do.
	Allowed int `json:"allowed"`
	Covered int `json:"covered"`
	// Left are those that would be refused.
	Left []Count `json:"left"`
	// Unlogged is how many were not logged, since there were too many at once.
	Unlogged int `json:"unlogged"`
	// Notes are for people.
	Notes []string `json:"notes"`
}

// Policy is an AuthPolicy.
type Policy struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Metadata   convert.Metadata `json:"metadata"`
	Spec       Spec             `json:"spec"`
}

// Spec is that of an AuthPolicy.
type Spec struct {
	Selector      policy.Selector `json:"selector,omitzero"`
	NetworkPolicy bool            `json:"networkPolicy,omitempty"`
	policy.Spec
}

// Subject is the policy for which rules are suggested.
type Subject struct {
	bundle.Object
	// NetworkPolicy is spec.networkPolicy, which sidecars are not told.
	NetworkPolicy bool
}

// RuleCount is a rule, and how many requests it lets in.
type RuleCount struct {
	Name     string `json:"name"`
	Requests int    `json:"requests"`
}

// Count is requests of one kind, and why they are not let in.
type Count struct {
	What     string `json:"what"`
	Why      string `json:"why"`
	Requests int    `json:"requests"`
}

// NewReport adds what is suggested to a policy.
func NewReport(o *Subject, seen *Seen, r *Result) Report {
	out := Report{
		Policy: Policy{
			APIVersion: "bearerguard.dev/v1alpha1", Kind: "AuthPolicy", Metadata: convert.Metadata{Name: o.Name, Namespace: o.Namespace},
			Spec: Spec{Selector: o.Selector, NetworkPolicy: o.NetworkPolicy, Spec: o.Spec},
		},
		Rules: []RuleCount{}, Left: []Count{}, Notes: []string{},
		Lines: seen.Lines, Others: seen.Others, Allowed: seen.Allowed, Covered: r.Covered, Unlogged: seen.Suppressed,
	}
	out.Policy.Spec.Rules = slices.Clone(o.Spec.Rules)
	for _, rule := range r.Rules {
		out.Policy.Spec.Rules = append(out.Policy.Spec.Rules, rule.Rule)
		out.Rules = append(out.Rules, RuleCount{rule.Name, rule.Requests})
	}
	out.left(seen.Without, func(string) string {
		return "no token; a rule with anonymous: true would let everybody in, which is for you to write"
	})
	out.left(seen.Refused, whyRefused)
	out.left(r.Left, func(string) string { return "" })
	if seen.Unclear > 0 {
		out.Left = append(out.Left, Count{"others", "the log does not say whose token it was, or shows a part of the path", seen.Unclear})
	}
	if out.Unlogged > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%s more not logged, since there were too many at once: with these rules applied, there are fewer, so try again then", counted(out.Unlogged, "was", "were")))
	}
	if r.NoScopes {
		out.Notes = append(out.Notes, "the log does not tell scopes, so the rules ask for none: set the annotation bearerguard.dev/log-scopes: \"true\" (or run the sidecar with --log-scopes)")
	}
	for _, w := range r.Wide {
		out.Notes = append(out.Notes, "taken for a variable: "+w+"; with --words -1 it is not")
	}
	out.Notes = append(out.Notes, r.Loose...)
	return out
}

func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// whyRefused says why no rule is suggested for what is refused for a reason.
func whyRefused(what string) string {
	reason, _, _ := strings.Cut(what, " ")
	switch decision.Reason(reason) {
	case decision.DeniedByRule:
		return "it denies them"
	case decision.InsufficientAuthentication:
		return "it asks for another log-in"
	default:
		if slices.Contains(decision.Reasons(), decision.Reason(reason)) {
			return "nothing that a rule could let in"
		}
	}
	return ""
}

// left adds requests that would be refused, the most frequent first.
func (r *Report) left(by map[string]int, why func(string) string) {
	keys := slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(by[b]-by[a], cmp.Compare(a, b)) })
	for _, k := range keys {
		r.Left = append(r.Left, Count{k, why(k), by[k]})
	}
}

// Complete reports whether everything that was seen would be let in.
func (r *Report) Complete() bool { return len(r.Left) == 0 }

// mostLeft is how many kinds of requests that would be refused are told to people.
const mostLeft = 20

// Text is the report in lines.
func (r *Report) Text() (out []string) {
	out = append(out, fmt.Sprintf("%s about %s/%s, %d of something else", counted(r.Lines-r.Others, "line", "lines"), r.Policy.Metadata.Namespace,
		r.Policy.Metadata.Name, r.Others))
	out = append(out, fmt.Sprintf("let in: %d by rules that are there, %d by %s", r.Allowed, r.Covered, counted(len(r.Rules), "new rule", "new rules")))
	refused := 0
	for _, c := range r.Left {
		refused += c.Requests
	}
	out = append(out, fmt.Sprintf("not let in: %d", refused))
	for i, c := range r.Left {
		if i == mostLeft {
			out = append(out, fmt.Sprintf("  and %d more kinds; -o json has them all", len(r.Left)-i))
			break
		}
		s := fmt.Sprintf("  %6d  %s", c.Requests, c.What)
		if c.Why != "" {
			s += ": " + c.Why
		}
		out = append(out, s)
	}
	for _, n := range r.Notes {
		out = append(out, "mind: "+n)
	}
	return out
}

// Write writes the policy as YAML, with how many requests each new rule lets in.
func (r *Report) Write(w io.Writer) error {
	comments := map[string]string{}
	for _, rule := range r.Rules {
		comments[rule.Name] = counted(rule.Requests, "request", "requests")
	}
	return ruleset.Write(w, r.Text(), []ruleset.Document{{Object: r.Policy, Rules: comments}})
}

// Check returns what is wrong with a policy for which rules are to be suggested.
func Check(o *Subject) error {
	if o.Spec.Mode != policy.Audit {
		return fmt.Errorf("%s is in mode Enforce: what it refuses does not reach the app, so nothing shows that it should; want mode: Audit", o.ID())
	}
	if len(o.Spec.Issuers) == 0 {
		return fmt.Errorf("%s has no issuers: it takes no token, so every request looks as if it had none; want spec.issuers", o.ID())
	}
	return nil
}
