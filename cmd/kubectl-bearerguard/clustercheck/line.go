package clustercheck

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict is how a check came out.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Failed  Verdict = "failed"
	Unknown Verdict = "unknown"
)

// Line is what one check has to say.
type Line struct {
	// Check is its name.
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	// Hint is what to do; empty if nothing is to be done.
	Hint string `json:"hint,omitempty"`
	// Exit is 0, or 2 if the line alone makes the command end with 2.
	Exit int `json:"exit"`
}

// Strictness says which verdicts are a failure of the whole.
type Strictness bool

const (
	// Lenient is that what is wrong fails.
	Lenient Strictness = false
	// Strict is that warnings and what is unknown fail, too.
	Strict Strictness = true
)

// check is one check.
type check struct {
	name, about string
	// before and after say when it is made: before the installation, and once there is one.
	before, after bool
	run           func(*Facts) []Line
}

func checks() []check {
	return []check{
		{"kubernetes", "the API server's version has what is needed", true, true, kubernetes},
		{"nodes", "nodes can run sidecars and redirect to them", true, true, nodes},
		{"clock", "the clocks of this machine, the API server and sidecars agree", true, true, clock},
		{"permissions", "who installs, or the controller, has the rights that are needed", true, true, permissions},
		{"pod-security", "namespaces let in the pods that they are to have", true, true, podSecurity},
		{"crds", "the CustomResourceDefinitions are there, and of this release", true, true, definitions},
		{"controller", "the controller runs", true, true, controllers},
		{"webhooks", "the webhook configurations are whole, and somebody is behind them", false, true, webhooks},
		{"admission", "the webhooks answer: a policy and a pod are tried, and not kept", false, true, admission},
		{"certificates", "certificates are trusted, and last", false, true, certificates},
		{"versions", "the command, the controller and sidecars are of one release", false, true, versions},
	}
}

// Names are the checks, with what each is about, in their order.
func Names() (names, about []string) {
	for _, c := range checks() {
		names, about = append(names, c.name), append(about, c.about)
	}
	return names, about
}

// Run makes the checks of these names, or all of them that are due. The error names one that is none.
func Run(f *Facts, names []string, s Strictness) ([]Line, error) {
	all := checks()
	for _, name := range names {
		if !slices.ContainsFunc(all, func(c check) bool { return c.name == name }) {
			known, _ := Names()
			return nil, fmt.Errorf("there is no check %q; want some of %s", name, strings.Join(known, ", "))
		}
	}
	out := []Line{}
	for _, c := range all {
		if len(names) > 0 && !slices.Contains(names, c.name) || f.Pre && !c.before || !f.Pre && !c.after {
			continue
		}
		for _, l := range c.run(f) {
			l.Check = c.name
			if l.Verdict == Failed || s == Strict && l.Verdict != OK {
				l.Exit = 2
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// Fine reports whether no line fails the whole.
func Fine(lines []Line) bool {
	return !slices.ContainsFunc(lines, func(l Line) bool { return l.Exit != 0 })
}

func ok(format string, args ...any) Line {
	return Line{Verdict: OK, Text: fmt.Sprintf(format, args...)}
}

func bad(hint, format string, args ...any) Line {
	return Line{Verdict: Failed, Text: fmt.Sprintf(format, args...), Hint: hint}
}

func warn(hint, format string, args ...any) Line {
	return Line{Verdict: Warning, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// unknown says what could not be looked at.
func unknown[T any](k Known[T], what string) []Line {
	hint := ""
	if k.Blocked {
		hint = "run it as somebody who may look, such as a cluster's administrator"
	}
	return []Line{{Verdict: Unknown, Text: what + ": " + k.Unknown, Hint: hint}}
}

// few names the first of some, and counts the rest.
func few(names []string) string {
	const most = 3
	names = slices.Clone(names)
	slices.Sort(names)
	text := ""
	for i, n := range names[:min(most, len(names))] {
		if i > 0 {
			text += ", "
		}
		text += n
	}
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
