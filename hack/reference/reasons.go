package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/advice"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

const reasonsHead = `# Reasons

<!-- Written by "make generate" from api/decision/reason.go, api/decision/advice and sidecar/refuse. Do not edit. -->

Why was a request refused? Each has one *reason* out of this list, and the same word is in every place:

| where | |
|---|---|
| the answer | ` + "`reason` in the problem body, whose `type` is the address of the section below; gRPC clients get `grpc-message`" + ` |
| the decision log | ` + "`reason`, with the `cause`: what exactly was wrong" + ` |
| metrics | ` + "the label `reason` of `bearerguard_requests_total` and `bearerguard_audit_total`" + ` |
| the command line | ` + "`kubectl bearerguard explain --request-id ID`, `logs --reason REASON`, and `check` offline" + ` |

The answer's ` + "`requestId`, also in its header `X-Request-Id`" + `, finds the request in all of them. A client is told the reason and a constant
sentence, and nothing about keys or policies; the causes are for those who run the guard. In a cause, … stands for what is filled
in: names and values of the policy, never a value of the token.
`

// reasonsPage writes docs/reasons.md.
func reasonsPage(root string) (string, error) {
	groups, err := readReasons(filepath.Join(root, "api/decision/reason.go"))
	if err != nil {
		return "", err
	}
	causes, err := readCauses(root)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(reasonsHead + "\n")
	writeIndex(&b, groups)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n", g.title)
		for _, r := range g.reasons {
			if err := writeReason(&b, r, causes[r.name]); err != nil {
				return "", err
			}
		}
	}
	return b.String(), nil
}

// reasonsData writes the same as JSON, for the dashboard.
func reasonsData(root string) (string, error) {
	groups, err := readReasons(filepath.Join(root, "api/decision/reason.go"))
	if err != nil {
		return "", err
	}
	causes, err := readCauses(root)
	if err != nil {
		return "", err
	}
	type entry struct {
		Name   string   `json:"name"`
		Group  string   `json:"group"`
		Means  string   `json:"means"`
		Sees   string   `json:"sees,omitempty"`
		Do     string   `json:"do"`
		Try    []string `json:"try,omitempty"`
		Causes []string `json:"causes,omitempty"`
	}
	var out []entry
	for _, g := range groups {
		for _, r := range g.reasons {
			code := decision.Reason(r.name)
			out = append(out, entry{r.name, g.title, sentence(r.means), clientSees(code), advice.Of(code).Do, advice.For(code), causes[r.name]})
		}
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err = e.Encode(out)
	return b.String(), err
}

func writeIndex(b *strings.Builder, groups []group) {
	b.WriteString("| | |\n|---|---|\n")
	for _, g := range groups {
		var names []string
		for _, r := range g.reasons {
			names = append(names, fmt.Sprintf("[%s](#%s)", r.name, refuse.Anchor(decision.Reason(r.name))))
		}
		fmt.Fprintf(b, "| %s | %s |\n", g.title, strings.Join(names, ", "))
	}
}

func writeReason(b *strings.Builder, r reason, causes []string) error {
	code := decision.Reason(r.name)
	about := advice.Of(code)
	if r.means == "" || about.Do == "" {
		return fmt.Errorf("reason %s: it needs a comment in api/decision/reason.go and advice in api/decision/advice", r.name)
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n", r.name, sentence(r.means))
	if seen := clientSees(code); seen != "" {
		fmt.Fprintf(b, "- **The client sees** %s\n", seen)
	}
	fmt.Fprintf(b, "- **What to do:** %s\n", about.Do)
	for _, command := range advice.For(code) {
		fmt.Fprintf(b, "  - `%s`\n", command)
	}
	if len(causes) > 0 {
		b.WriteString("- **Causes:**\n")
		for _, c := range causes {
			fmt.Fprintf(b, "  - %s\n", strings.NewReplacer("*", `\*`, "<", `\<`, "#", `\#`).Replace(c))
		}
	}
	return nil
}

// clientSees says what a client gets; empty where it is not refused.
func clientSees(code decision.Reason) string {
	if code == decision.Allowed || code == decision.AuditOnly || code.Answered() {
		return ""
	}
	r := refuse.Table(code)
	out := fmt.Sprintf("%d %s: %q", r.Status, r.Title, r.Description)
	switch {
	case r.Challenge && r.Error != "":
		out += fmt.Sprintf(", with the challenge `error=%q`", r.Error)
	case r.Challenge:
		out += ", with a challenge"
	}
	if r.RetryAfter > 0 {
		out += fmt.Sprintf(", `Retry-After: %d`", r.RetryAfter)
	}
	return out + fmt.Sprintf("; gRPC: code %d", r.GRPC)
}

func sentence(s string) string {
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// reason is one of the closed list, with what its comment says.
type reason struct{ name, means string }

// group is what one block of constants has.
type group struct {
	title   string
	reasons []reason
}

// readReasons reads the blocks of constants and their comments.
func readReasons(file string) ([]group, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var out []group
	known := map[string]bool{}
	for _, d := range f.Decls {
		block, ok := d.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		g := group{title: strings.TrimSuffix(strings.TrimSpace(block.Doc.Text()), ".")}
		for _, s := range block.Specs {
			spec, _ := s.(*ast.ValueSpec)
			name := spec.Names[0].Name
			means, found := strings.CutPrefix(strings.Join(strings.Fields(spec.Doc.Text()), " "), name+": ")
			if !found {
				means = ""
			}
			g.reasons = append(g.reasons, reason{name, means})
			known[name] = true
		}
		out = append(out, g)
	}
	var missing []error
	for _, r := range decision.Reasons() {
		if !known[string(r)] {
			missing = append(missing, fmt.Errorf("reason %s is not in %s", r, file))
		}
	}
	return out, errors.Join(missing...)
}
