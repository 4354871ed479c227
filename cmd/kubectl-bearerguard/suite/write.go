package suite

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// Text writes results for people.
func Text(w io.Writer, l output.Look, results []Result) {
	cases, failed := 0, 0
	for _, r := range results {
		root := output.Node{Head: r.File, Style: output.Strong}
		for _, c := range r.Cases {
			n := output.Node{Mark: output.Good, Text: c.Name}
			if !c.Passed {
				n.Mark, n.Head, n.Text, n.Style = output.Bad, c.Name, fmt.Sprintf("(line %d)", c.Line), output.Bad
				for _, d := range c.Differences {
					n.Children = append(n.Children, output.Node{Text: d})
				}
				n.Children = append(n.Children, output.Node{Text: "it was: " + c.Verdict, Notes: c.Why})
			}
			root.Children = append(root.Children, n)
		}
		l.Tree(w, root)
		fmt.Fprintln(w)
		cases, failed = cases+len(r.Cases), failed+r.Failed()
	}
	verdict := l.Paint(output.Good, passed(cases-failed))
	if failed > 0 {
		verdict += ", " + l.Paint(output.Bad, fmt.Sprintf("%d failed", failed))
	}
	output.Printf(w, "%s\n", verdict)
	writeCoverage(w, l, Join(results))
}

func passed(n int) string {
	if n == 1 {
		return "1 case passed"
	}
	return fmt.Sprintf("%d cases passed", n)
}

// writeCoverage names the rules that no case showed.
func writeCoverage(w io.Writer, l output.Look, rules []Rule) {
	fitted := 0
	var missed []output.Node
	for _, r := range rules {
		if r.Fitted > 0 {
			fitted++
			continue
		}
		missed = append(missed, output.Node{Mark: output.Warn, Text: missing(r)})
	}
	root := output.Node{Head: "coverage:", Text: fmt.Sprintf("%d of %d rules", fitted, len(rules)), Children: missed}
	l.Tree(w, root)
}

func missing(r Rule) string {
	if r.Matched > 0 {
		return fmt.Sprintf("rule %s of %s matches requests of cases, and in none its conditions hold", r.Rule, r.Policy)
	}
	return fmt.Sprintf("rule %s of %s matches the request of no case", r.Rule, r.Policy)
}

// TAP writes results as the Test Anything Protocol, version 14.
func TAP(w io.Writer, results []Result) {
	total := 0
	for _, r := range results {
		total += len(r.Cases)
	}
	fmt.Fprintf(w, "TAP version 14\n1..%d\n", total)
	n := 0
	for _, r := range results {
		for _, c := range r.Cases {
			n++
			state := "ok"
			if !c.Passed {
				state = "not ok"
			}
			fmt.Fprintf(w, "%s %d - %s\n", state, n, tapName(c.Name))
			if c.Passed {
				continue
			}
			fmt.Fprintf(w, "  ---\n  at: %q\n  verdict: %q\n  differences:\n", fmt.Sprintf("%s:%d", r.File, c.Line), c.Verdict)
			for _, d := range c.Differences {
				fmt.Fprintf(w, "  - %q\n", d)
			}
			fmt.Fprintln(w, "  ...")
		}
	}
	for _, rule := range Join(results) {
		if rule.Fitted == 0 {
			output.Printf(w, "# coverage: %s\n", missing(rule))
		}
	}
}

// tapName keeps a name on its line and from being read as a directive.
func tapName(s string) string {
	return strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(output.Clean(s))
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
	Out      string      `xml:"system-out,omitempty"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes results as the XML that CI servers read.
func JUnit(w io.Writer, results []Result) error {
	var all junitSuites
	for _, r := range results {
		s := junitSuite{Name: r.File, Tests: len(r.Cases), Failures: r.Failed()}
		for _, c := range r.Cases {
			one := junitCase{Name: c.Name, Class: r.File, File: r.File, Line: c.Line}
			if !c.Passed {
				lines := append([]string{"it was: " + c.Verdict}, c.Why...)
				one.Failure = &junitFailure{Message: strings.Join(c.Differences, "; "), Text: strings.Join(lines, "\n")}
			}
			s.Cases = append(s.Cases, one)
		}
		for _, rule := range r.Coverage {
			if rule.Fitted == 0 {
				s.Out += "coverage: " + missing(rule) + "\n"
			}
		}
		all.Tests, all.Failures = all.Tests+s.Tests, all.Failures+s.Failures
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
