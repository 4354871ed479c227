package check

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// Text writes the report for people: the verdict, what the client and the app get, and a tree of policies, rules and conditions.
func (r Report) Text(w io.Writer, look output.Look) {
	switch {
	case r.Reason.Answered():
		output.Printf(w, "%s %d %s: the sidecar answers, and the app does not get it\n", look.Paint(output.Good, "ANSWERED"), r.Status, r.Reason)
	case r.Allowed:
		output.Printf(w, "%s  %s%s\n", look.Paint(output.Good, "ALLOWED"), r.Reason, By(r.Policy, r.Rule))
		output.Printf(w, "  the app gets %s\n", r.Target)
		for _, h := range r.Headers {
			output.Printf(w, "  with         %s\n", h)
		}
		for _, l := range r.LeftOut {
			output.Printf(w, "  without      %s: left out: %s\n", l.Header, l.Cause)
		}
	default:
		output.Printf(w, "%s  %d %s%s\n", look.Paint(output.Bad, "REFUSED"), r.Status, r.Reason, By(r.Policy, r.Rule))
		if r.Cause != "" {
			output.Printf(w, "  because: %s\n", r.Cause)
		}
		r.details(w)
		output.Printf(w, "  the client is told: %s\n", r.Detail)
	}
	for _, h := range r.Answer {
		output.Printf(w, "  the answer says %s\n", h)
	}
	if r.Body != "" {
		output.Printf(w, "  and is          %s\n", r.Body)
	}
	r.needs(w)
	r.remarks(w, look)
	r.issuers(w, look)
	r.tree(w, look)
	for _, a := range r.Audit {
		output.Printf(w, "\naudit policy %s would say: %s%s\n", a.Policy, a.Reason, By("", a.Rule))
		if a.Cause != "" {
			output.Printf(w, "  because: %s\n", a.Cause)
		}
	}
}

// remarks writes what to know of the verdict.
func (r Report) remarks(w io.Writer, look output.Look) {
	warn := func(kind, text string) { output.Printf(w, "  %s %s\n", look.Paint(output.Warn, kind), text) }
	if c := r.Claims; c != nil {
		text := "these are claims, not a token: they were taken as if " + "issuer " + strings.Join(c.Issuers, ", issuer ") + " had signed them"
		if len(c.Filled) > 0 {
			text += "; filled in: " + strings.Join(c.Filled, ", ")
		}
		warn("not verified:", text)
	}
	for _, n := range r.Notes {
		warn("note:", n)
	}
	for _, warning := range r.Warnings {
		warn("warning:", warning)
	}
}

// needs writes what the request needs of its token.
func (r Report) needs(w io.Writer) {
	if r.TokenIgnored {
		fmt.Fprintln(w, "  nobody looks at a token: the rule has ignoreToken, so there are no identity headers and claims are empty")
	}
	if len(r.Scopes) > 0 {
		output.Printf(w, "  the request needs the scopes: %s\n", strings.Join(r.Scopes, " "))
	}
	if len(r.ACR) > 0 {
		output.Printf(w, "  the user has to log in with an acr of: %s\n", strings.Join(r.ACR, " "))
	}
	if r.MaxAge > 0 {
		output.Printf(w, "  the user has to have logged in at most %d s ago\n", r.MaxAge)
	}
}

// details writes what the decision log has, too.
func (r Report) details(w io.Writer) {
	if r.IssuerEntry != "" {
		output.Printf(w, "  issuer entry: %s of %s", r.IssuerEntry, r.Policy)
		if len(r.Audiences) > 0 {
			output.Printf(w, ", audiences %s", strings.Join(r.Audiences, ", "))
		}
		fmt.Fprintln(w)
	}
	if r.NearestRule != "" {
		output.Printf(w, "  nearest: rule %s of %s\n", r.NearestRule, r.NearestPolicy)
	}
	if r.Failed != "" {
		output.Printf(w, "  failed: %s\n", r.Failed)
	}
}

func (r Report) issuers(w io.Writer, look output.Look) {
	if len(r.Issuers) == 0 {
		return
	}
	root := output.Node{Head: "token", Style: output.Strong}
	if r.Claims != nil {
		root.Head = "claims"
	}
	for _, is := range r.Issuers {
		n := output.Node{Mark: output.Good, Text: "issuer " + is.Issuer + " of " + is.Policy + " takes the token"}
		if is.Reason != "" {
			n.Mark, n.Text = output.Bad, "issuer "+is.Issuer+" of "+is.Policy+" does not take the token: "+string(is.Reason)
			if is.Cause != "" {
				n.Text += ": " + is.Cause
			}
		}
		root.Children = append(root.Children, n)
	}
	fmt.Fprintln(w)
	look.Tree(w, root)
}

// tree writes each policy with its rules, and each rule with its conditions.
func (r Report) tree(w io.Writer, look output.Look) {
	var policies []output.Node
	for _, rule := range r.Rules {
		i := slices.IndexFunc(policies, func(n output.Node) bool { return n.Head == "policy "+rule.Policy })
		if i < 0 {
			i = len(policies)
			n := output.Node{Head: "policy " + rule.Policy, Style: output.Strong}
			if rule.Audit {
				n.Text = "(Audit: only says what it would do)"
			}
			policies = append(policies, n)
		}
		policies[i].Children = append(policies[i].Children, ruleNode(rule))
	}
	for _, p := range policies {
		fmt.Fprintln(w)
		look.Tree(w, p)
	}
}

// ruleNode says what became of a rule. Its mark is what it means for the request.
func ruleNode(r decision.RuleReport) output.Node {
	n := output.Node{Mark: output.Faint, Head: strings.ToLower(r.Effect) + " rule " + r.Rule}
	deny := r.Effect == "Deny"
	switch {
	case r.Fits && deny:
		n.Mark, n.Text = output.Bad, "fits"
	case r.Fits:
		n.Mark, n.Text = output.Good, "fits"
	case !r.Matches:
		n.Text = "does not match the request: " + strings.Join(r.Mismatches, ", ")
		return n
	default:
		n.Text = "matches, but its conditions do not hold"
		if !deny {
			n.Mark = output.Bad
		}
	}
	for _, c := range r.Conditions {
		if c.Holds {
			n.Children = append(n.Children, output.Node{Mark: output.Good, Text: c.Field + " holds"})
			continue
		}
		n.Children = append(n.Children, output.Node{Mark: output.Bad, Text: c.Field + ": " + c.Problem})
	}
	return n
}

// By names what decided: ", by rule read of shop/orders".
func By(policy, rule string) string {
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
