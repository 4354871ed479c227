package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// write writes a report for people.
func (f *statusFlags) write(w io.Writer, look output.Look, r *fleet.Report, now time.Time) {
	summary(w, look, r)
	tables := []*output.Table{policiesTable(r, now), workloadsTable(r), refusalsTable(r, now)}
	for i, t := range tables {
		if t.Len() == 0 {
			continue
		}
		if !f.cluster.AllNamespaces {
			t.Hide("NAMESPACE")
		}
		fmt.Fprintln(w)
		if i == len(tables)-1 {
			output.Printf(w, "%s\n", look.Paint(output.Strong, "Refused in the last "+r.Asked.Since))
		}
		t.Write(w, look)
	}
	var problems []output.Node
	for _, p := range r.Policies {
		problems = appendProblems(problems, "policy "+p.Namespace+"/"+p.Name, p.Problems)
	}
	for _, l := range r.Workloads {
		problems = appendProblems(problems, l.Name+" of "+l.Namespace, l.Problems)
	}
	if len(problems) > 0 {
		fmt.Fprintln(w)
		look.Tree(w, problems...)
	}
	notAsked(w, look, r.Asked)
}

// summary is a line or two on the whole.
func summary(w io.Writer, look output.Look, r *fleet.Report) {
	if len(r.Policies) == 0 {
		fmt.Fprintln(w, "There are no AuthPolicies here.")
	}
	c := r.Count()
	if c.Policies == 0 && c.Workloads == 0 {
		return
	}
	mark := output.Good
	if !r.Fine() {
		mark = output.Bad
	}
	text := fmt.Sprintf("%d of %d policies ready, %d of %d pods with a sidecar", c.Ready, c.Policies, c.Sidecars, c.Pods)
	if c.Wrong > 0 {
		text += fmt.Sprintf(", something wrong with %d of %d workloads", c.Wrong, c.Workloads)
	}
	if r.Asked != nil && r.Asked.Sidecars > 0 {
		text += fmt.Sprintf(", %d requests refused in the last %s", c.Refused, r.Asked.Since)
	}
	output.Printf(w, "%s %s\n", look.Mark(mark), look.Paint(output.Strong, text))
}

// notAsked tells of sidecars whose word is missing.
func notAsked(w io.Writer, look output.Look, a *fleet.Asked) {
	if a == nil || a.Sidecars == a.Running {
		return
	}
	output.Printf(w, "\n%s what was refused is known of %d of %d sidecars\n", look.Mark(output.Warn), a.Sidecars, a.Running)
	const few = 3
	for _, text := range a.Failed[:min(few, len(a.Failed))] {
		output.Printf(w, "  %s\n", text)
	}
	if more := len(a.Failed) - few; more > 0 {
		output.Printf(w, "  and %d more\n", more)
	}
}

func policiesTable(r *fleet.Report, now time.Time) *output.Table {
	t := output.NewTable("NAMESPACE", "POLICY", "MODE", "READY", "GENERATION", "CURRENT", "BEHIND", "REFUSING", "AWAY", "BARE", "GUARDED", "KEYS")
	for i := range r.Policies {
		policyRow(t, &r.Policies[i], now)
	}
	return t
}

func workloadsTable(r *fleet.Report) *output.Table {
	t := output.NewTable("NAMESPACE", "WORKLOAD", "PODS", "SIDECARS", "READY", "RELEASE", "REFUSED", "POLICIES")
	for i := range r.Workloads {
		l := &r.Workloads[i]
		style := output.Good
		if len(l.Problems) > 0 {
			style = output.Bad
		}
		releases := l.Versions
		if len(releases) == 0 {
			releases = l.Releases
		}
		policies := output.Text(strings.Join(l.Policies, ", "))
		if len(l.Policies) == 0 {
			policies = output.Cell{Text: "none", Style: output.Bad}
		}
		t.Row(output.Text(l.Namespace), output.Text(l.Name), output.Count(l.Pods), output.Cell{Text: fmt.Sprint(l.Sidecars), Style: style},
			output.Count(l.Ready), output.Text(strings.Join(releases, ", ")), refusedCell(l), policies)
	}
	return t
}

// refusedCell is how many requests a workload refused, as far as is known.
func refusedCell(l *fleet.Workload) output.Cell {
	if l.Asked == 0 {
		return output.Cell{Text: "-", Style: output.Faint}
	}
	n := 0
	for _, x := range l.Refusals {
		n += x.Count
	}
	text := fmt.Sprint(n)
	if l.Partial || l.Asked < l.Sidecars {
		text += " or more"
	}
	if n == 0 {
		return output.Cell{Text: text, Style: output.Faint}
	}
	return output.Text(text)
}

// mostKinds is how many kinds of refusals of a workload are listed.
const mostKinds = 5

func refusalsTable(r *fleet.Report, now time.Time) *output.Table {
	t := output.NewTable("NAMESPACE", "WORKLOAD", "REASON", "COUNT", "LAST", "POLICY", "RULE", "FOR EXAMPLE")
	for i := range r.Workloads {
		l := &r.Workloads[i]
		for n := range l.Refusals[:min(len(l.Refusals), mostKinds)] {
			x := &l.Refusals[n]
			policy, rule := x.Policy, orFaint(x.Rule, "-")
			if x.Rule == "" && x.NearestRule != "" {
				rule = output.Cell{Text: "near " + x.NearestRule, Style: output.Faint}
			}
			if policy == "" {
				policy = x.NearestPolicy
			}
			_, short, named := strings.Cut(policy, "/")
			if !named {
				short = policy
			}
			why := x.Cause
			if why == "" {
				why = "bearerguard explain --request-id " + x.RequestID
			}
			t.Row(output.Text(l.Namespace), output.Text(l.Name), output.Cell{Text: string(x.Reason), Style: output.Warn}, output.Count(x.Count),
				output.Text(age(now.Sub(x.Last))+" ago"), orFaint(short, "-"), rule, output.Cell{Text: why, Style: output.Faint})
		}
		if more := len(l.Refusals) - mostKinds; more > 0 {
			t.Row(output.Text(l.Namespace), output.Text(l.Name), output.Cell{Text: fmt.Sprintf("%d more kinds", more), Style: output.Faint})
		}
	}
	return t
}

func policyRow(t *output.Table, p *fleet.Policy, now time.Time) {
	ready := output.Cell{Text: p.Ready, Style: output.Good}
	if p.Ready != "True" {
		ready = output.Cell{Text: p.Ready + " (" + p.Reason + ")", Style: output.Bad}
	}
	generation := output.Text(fmt.Sprint(p.Generation))
	if p.Observed < p.Generation {
		generation = output.Cell{Text: fmt.Sprintf("%d (controller: %d)", p.Generation, p.Observed), Style: output.Warn}
	}
	s := p.Sidecars
	if s == nil {
		s = &v1alpha1.SidecarStatus{}
	}
	t.Row(output.Text(p.Namespace), output.Text(p.Name), output.Text(string(p.Mode)), ready, generation, output.Text(fmt.Sprintf("%d/%d", s.Current, s.Total)),
		unwanted(s.Total-s.Current-s.Rejecting-s.Disconnected-s.Missing, output.Warn), unwanted(s.Rejecting, output.Bad), unwanted(s.Disconnected, output.Warn),
		unwanted(s.Missing, output.Bad), guardedCell(p), keysCell(p.Keys, now))
}

// guardedCell says whether the app can be reached past the sidecar.
func guardedCell(p *fleet.Policy) output.Cell {
	switch {
	case p.Guarded == "True":
		return output.Cell{Text: "yes", Style: output.Good}
	case p.GuardedReason == v1alpha1.ReasonBypassable:
		return output.Cell{Text: "bypassable", Style: output.Bad}
	case p.Guarded == "False":
		return output.Cell{Text: "no", Style: output.Bad}
	}
	return output.Cell{Text: "-", Style: output.Faint}
}

// unwanted is a number that should be 0.
func unwanted(n int32, s output.Style) output.Cell {
	if n <= 0 {
		return output.Cell{Text: "0", Style: output.Faint}
	}
	return output.Cell{Text: fmt.Sprint(n), Style: s}
}

// keysCell tells the age of the oldest keys, or what is wrong with some.
func keysCell(all []fleet.Keys, now time.Time) output.Cell {
	oldest := time.Duration(-1)
	for i := range all {
		if k := &all[i]; k.State != v1alpha1.KeysCurrent && k.State != "" {
			return output.Cell{Text: fmt.Sprintf("%s: %s", k.Issuer, strings.ToLower(string(k.State))), Style: output.Bad}
		} else if !k.Read().IsZero() {
			oldest = max(oldest, k.Age(now))
		}
	}
	switch {
	case len(all) == 0:
		return output.Text("none")
	case oldest < 0:
		return output.Text("-")
	}
	return output.Text("read " + age(oldest) + " ago")
}

func appendProblems(nodes []output.Node, head string, problems []string) []output.Node {
	if len(problems) == 0 {
		return nodes
	}
	n := output.Node{Head: head, Style: output.Strong}
	for _, p := range problems {
		n.Children = append(n.Children, output.Node{Mark: output.Bad, Text: p})
	}
	return append(nodes, n)
}

// conditionOf is the status of a condition; Unknown without it.
func conditionOf(all []metav1.Condition, kind string) string {
	if c := meta.FindStatusCondition(all, kind); c != nil {
		return string(c.Status)
	}
	return string(metav1.ConditionUnknown)
}
