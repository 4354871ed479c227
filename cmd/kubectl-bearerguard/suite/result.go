package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// Result is what became of a file's cases.
type Result struct {
	File     string    `json:"file"`
	Cases    []Outcome `json:"cases"`
	Coverage []Rule    `json:"coverage"`
}

// Outcome is what became of a case.
type Outcome struct {
	Name string `json:"name"`
	Line int    `json:"line"`
	// Passed says that all was as expected; Differences are what was not.
	Passed      bool     `json:"passed"`
	Differences []string `json:"differences,omitempty"`
	// Verdict is what was decided, in a line; Why is more about it, where a case did not pass.
	Verdict string   `json:"verdict"`
	Why     []string `json:"why,omitempty"`
}

// Rule is a rule of a policy, and what cases there are for it.
type Rule struct {
	Policy string `json:"policy"`
	Rule   string `json:"rule"`
	// Matched is how many cases have a request that the rule's match fits, Fitted in how many its conditions hold, too.
	Matched int `json:"matched"`
	Fitted  int `json:"fitted"`
}

// Failed is how many cases did not pass.
func (r Result) Failed() int {
	n := 0
	for _, c := range r.Cases {
		if !c.Passed {
			n++
		}
	}
	return n
}

func newOutcome(c *Case, r *check.Report, line int) Outcome {
	o := Outcome{Name: c.Name, Line: line, Verdict: verdict(r)}
	differs := func(what, got, want string) {
		if got == "" {
			got = "none"
		}
		o.Differences = append(o.Differences, what+" is "+got+"; want "+want)
	}
	e := &c.Expect
	for _, one := range []struct{ what, got, want string }{
		{"decision", decisionOf(r), e.Decision}, {"reason", string(r.Reason), e.Reason},
		{"policy", r.Policy, e.Policy}, {"rule", r.Rule, e.Rule},
	} {
		if one.want != "" && one.got != one.want {
			differs(one.what, one.got, one.want)
		}
	}
	if e.Status != 0 && r.Status != e.Status {
		differs("status", fmt.Sprint(r.Status), fmt.Sprint(e.Status))
	}
	got := map[string]string{}
	for _, h := range r.Headers {
		name, value, _ := strings.Cut(h, ": ")
		got[strings.ToLower(name)] = value
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		if value, ok := got[strings.ToLower(name)]; !ok || value != e.Headers[name] {
			differs("header "+name, value, e.Headers[name])
		}
	}
	for _, name := range e.WithoutHeaders {
		if value, ok := got[strings.ToLower(name)]; ok {
			differs("header "+name, value, "none")
		}
	}
	if o.Passed = len(o.Differences) == 0; !o.Passed {
		o.Why = why(r)
	}
	return o
}

func decisionOf(r *check.Report) string {
	switch {
	case r.Reason.Answered():
		return Answer
	case r.Allowed:
		return Allow
	}
	return Deny
}

// verdict is a report in a line.
func verdict(r *check.Report) string {
	text := decisionOf(r) + " " + string(r.Reason)
	switch {
	case r.Rule != "":
		text += ", by rule " + r.Rule + " of " + r.Policy
	case r.Policy != "":
		text += ", by " + r.Policy
	}
	return text
}

// why is what a report says of a verdict.
func why(r *check.Report) (out []string) {
	if r.Cause != "" {
		out = append(out, "because: "+r.Cause)
	}
	if r.NearestRule != "" {
		out = append(out, "nearest: rule "+r.NearestRule+" of "+r.NearestPolicy)
	}
	if r.Failed != "" {
		out = append(out, "failed: "+r.Failed)
	}
	return append(out, r.Notes...)
}

// coverage counts the cases of each rule.
type coverage struct {
	Coverage []Rule
	policies []string
}

// newCoverage has the rules of policies that select a workload with these labels; nil: of all.
func newCoverage(set *manifest.Set, labels map[string]string) *coverage {
	c := &coverage{}
	for _, o := range set.Policies {
		if labels != nil && !o.Selector.Matches(labels) {
			continue
		}
		c.policies = append(c.policies, o.ID())
		for i := range o.Spec.Rules {
			c.Coverage = append(c.Coverage, Rule{Policy: o.ID(), Rule: o.Spec.Rules[i].Name})
		}
	}
	return c
}

// misses says what of an expectation does not exist.
func (c *coverage) misses(e *Expect) (path, problem string) {
	if e.Policy != "" && !slices.Contains(c.policies, e.Policy) {
		return ".expect.policy", fmt.Sprintf("there is no policy %q; want one of %s", e.Policy, strings.Join(c.policies, ", "))
	}
	if e.Rule == "" {
		return "", ""
	}
	var names []string
	for _, r := range c.Coverage {
		if e.Policy == "" || e.Policy == r.Policy {
			names = append(names, r.Rule)
		}
	}
	if slices.Contains(names, e.Rule) {
		return "", ""
	}
	return ".expect.rule", fmt.Sprintf("no policy has a rule %q; want one of %s", e.Rule, strings.Join(names, ", "))
}

// note counts what a case showed. A request whose token is refused comes to no rule.
func (c *coverage) note(r *check.Report) {
	if len(r.Issuers) > 0 && !slices.ContainsFunc(r.Issuers, func(is check.IssuerReport) bool { return is.Reason == "" }) {
		return
	}
	for _, rule := range r.Rules {
		i := slices.IndexFunc(c.Coverage, func(known Rule) bool { return known.Policy == rule.Policy && known.Rule == rule.Rule })
		if i < 0 {
			continue
		}
		if rule.Matches {
			c.Coverage[i].Matched++
		}
		if rule.Fits {
			c.Coverage[i].Fitted++
		}
	}
}

// Join counts coverage of the same rules by several files together, in the order in which rules come up.
func Join(results []Result) []Rule {
	var out []Rule
	for _, r := range results {
		for _, rule := range r.Coverage {
			i := slices.IndexFunc(out, func(o Rule) bool { return o.Policy == rule.Policy && o.Rule == rule.Rule })
			if i < 0 {
				out = append(out, rule)
				continue
			}
			out[i].Matched += rule.Matched
			out[i].Fitted += rule.Fitted
		}
	}
	return out
}
