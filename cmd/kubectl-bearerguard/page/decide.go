package page

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// Question is what is typed into the playground. Texts may be anything.
type Question struct {
	// Policy has YAML objects, as a standalone sidecar reads them.
	Policy string `json:"policy"`
	// Method and Target are the request's; the target is a path or a URL.
	Method string `json:"method"`
	Target string `json:"target"`
	// Headers has a header a line, "Name: value".
	Headers string `json:"headers"`
	Body    string `json:"body"`
	// Remote is the client's address, Port what it dials.
	Remote string `json:"remote"`
	Port   int    `json:"port"`
	// At is when, RFC 3339; empty: now.
	At string `json:"at"`
	// Labels of the workload, "k=v,..."; empty: every policy applies.
	Labels string `json:"labels"`
	// Token is what the request carries, Keys are those of its issuer instead of what the policy names. Claims, a JSON object, are
	// taken instead of a token if they are not empty.
	Token  string `json:"token"`
	Keys   string `json:"keys"`
	Claims string `json:"claims"`
}

// Answer is the explained decision, or what keeps it from being made.
type Answer struct {
	// Problem says what is wrong with the question, Field in which of its members; Line is the line of the policy, from 1, or 0.
	Problem string `json:"problem,omitempty"`
	Field   string `json:"field,omitempty"`
	Line    int    `json:"line,omitempty"`

	Report   *Verdict `json:"report,omitempty"`
	Policies []Policy `json:"policies,omitempty"`
	Token    *Token   `json:"token,omitempty"`
}

// Verdict is the report of package check, without what Answer has in another form.
type Verdict struct {
	check.Report
	// Answered says that the sidecar answers in the app's place.
	Answered bool `json:"answered,omitempty"`
}

// Policy is what the rules of one policy had to do with the decision.
type Policy struct {
	ID    string `json:"id"`
	Audit bool   `json:"audit,omitempty"`
	Rules []Rule `json:"rules"`
}

// Rule is a decision.RuleReport whose fields have the lines where they are written.
type Rule struct {
	decision.RuleReport
	Mismatches []Place     `json:"mismatches,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
}

// Place is a field and its line in the policy, or 0.
type Place struct {
	Field string `json:"field"`
	Line  int    `json:"line,omitempty"`
}

// Condition is a decision.ConditionReport and the line of its field.
type Condition struct {
	decision.ConditionReport
	Line int `json:"line,omitempty"`
}

// mistake is a problem with one field of a question.
type mistake struct {
	field string
	err   error
}

func (m mistake) Error() string { return m.err.Error() }

// policyFile is the name of the policy in texts of package manifest.
const policyFile = "policy"

// Decide answers a question. It does no I/O: now is the time where the question has none.
func Decide(q Question, now time.Time) Answer {
	in, err := q.input(now)
	if err != nil {
		return problem(err)
	}
	set, err := manifest.Parse(in.Files, in.Namespace)
	if err != nil {
		return problem(mistake{"policy", err})
	}
	switch {
	case q.Claims != "":
		in.Claims = &check.Claims{JSON: []byte(q.Claims)}
	case q.Token != "" && q.Keys != "":
		in.Keys = keysOf(set, q.Keys)
	}
	report, err := check.Run(in)
	if err != nil {
		return problem(mistake{blamed(err, q), err})
	}
	a := Answer{
		Report:   &Verdict{Report: report, Answered: report.Reason.Answered()},
		Policies: policies(set, report.Rules),
		Token:    explainToken(q, set, report.Rules, in.Now),
	}
	a.Report.Rules = nil
	return a
}

// blamed returns the field of the question that an error of check.Run is about.
func blamed(err error, q Question) string {
	switch {
	case strings.HasPrefix(err.Error(), policyFile+":"):
		return "policy"
	case q.Claims != "":
		return "claims"
	case q.Keys != "":
		return "keys"
	}
	return "policy"
}

// problem tells a mistake, and where it is.
func problem(err error) Answer {
	a := Answer{Problem: err.Error(), Field: policyFile}
	var m mistake
	if errors.As(err, &m) {
		a.Field = m.field
	}
	if a.Field != policyFile {
		return a
	}
	var told []string
	for line := range strings.Lines(a.Problem) { // as many problems as there are, each with its line
		number, text := cutPlace(strings.TrimSpace(line))
		if a.Line == 0 {
			a.Line = number
		}
		if number > 0 {
			text = fmt.Sprintf("line %d: %s", number, text)
		}
		told = append(told, text)
	}
	a.Problem = strings.Join(told, "\n")
	return a
}

// cutPlace splits "policy:3: text" into 3 and the text.
func cutPlace(s string) (int, string) {
	rest, ok := strings.CutPrefix(s, policyFile+":")
	if !ok {
		return 0, s
	}
	digits, text, _ := strings.Cut(rest, ":")
	number, err := strconv.Atoi(digits)
	if err != nil {
		return 0, strings.TrimSpace(rest)
	}
	return number, strings.TrimSpace(text)
}

// input reads the texts of a question.
func (q *Question) input(now time.Time) (check.Input, error) {
	in := check.Input{
		Files: []manifest.File{{Name: policyFile, Data: []byte(q.Policy)}}, Namespace: "default",
		Method: strings.TrimSpace(q.Method), Host: "localhost", Body: []byte(q.Body), Port: q.Port, Now: now,
	}
	if in.Method == "" {
		return in, mistake{"method", errors.New("the method is missing; want one such as GET")}
	}
	var err error
	if in.Host, in.Target, err = check.Target(strings.TrimSpace(q.Target)); err != nil {
		return in, mistake{"target", err}
	}
	if in.Remote, err = netip.ParseAddr(strings.TrimSpace(q.Remote)); err != nil {
		return in, mistake{"remote", fmt.Errorf("the client's address %q is not an IP address", q.Remote)}
	}
	if in.Port < 1 || in.Port > 65535 {
		return in, mistake{"port", errors.New("the port is not a number from 1 to 65535")}
	}
	if at := strings.TrimSpace(q.At); at != "" {
		if in.Now, err = time.Parse(time.RFC3339, at); err != nil {
			return in, mistake{"at", fmt.Errorf("the time %q is not one such as 2027-01-01T00:00:00Z", at)}
		}
	}
	if in.Labels, err = readLabels(q.Labels); err != nil {
		return in, mistake{"labels", err}
	}
	if in.Header, err = readHeaders(q.Headers); err != nil {
		return in, mistake{"headers", err}
	}
	if len(in.Body) > 0 && in.Header.Get("Content-Type") == "" {
		in.Header.Set("Content-Type", "application/json")
	}
	if q.token() != "" {
		in.Header.Add("Authorization", check.Authorization(q.Token, in.Header.Get("DPoP") != ""))
	}
	return in, nil
}

// token returns the token that is carried, without what is often pasted along with it.
func (q *Question) token() string {
	if q.Claims != "" {
		return ""
	}
	_, token := check.Pasted(q.Token)
	return token
}

func readLabels(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil //nolint:nilnil // no labels: every policy applies
	}
	labels := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("the label %q is not key=value", pair)
		}
		labels[key] = value
	}
	return labels, nil
}

func readHeaders(text string) (http.Header, error) {
	h := http.Header{}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, maxQuestion)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("the header %q is not Name: value", line)
		}
		h.Add(name, strings.TrimSpace(value))
	}
	return h, lines.Err()
}

// policies groups what is reported of rules by their policies, each in the order in which it is written.
func policies(set *manifest.Set, reports []decision.RuleReport) []Policy {
	var out []Policy
	for _, o := range set.Policies {
		line := func(path string) int {
			number, _ := cutPlace(set.Place(o, path) + ":")
			return number
		}
		p := Policy{ID: o.ID(), Audit: o.Spec.Mode == policy.Audit}
		for i := range o.Spec.Rules {
			at := slices.IndexFunc(reports, func(r decision.RuleReport) bool { return r.Policy == p.ID && r.Rule == o.Spec.Rules[i].Name })
			if at >= 0 {
				p.Rules = append(p.Rules, newRule(reports[at], line))
			}
		}
		if len(p.Rules) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func newRule(r decision.RuleReport, line func(path string) int) Rule {
	rule := Rule{RuleReport: r}
	for _, m := range r.Mismatches {
		rule.Mismatches = append(rule.Mismatches, Place{m, line(m)})
	}
	for _, c := range r.Conditions {
		rule.Conditions = append(rule.Conditions, Condition{c, line(c.Field)})
	}
	return rule
}

// keysOf gives the keys to each issuer that could have made the token.
func keysOf(set *manifest.Set, keys string) map[string][]byte {
	out := map[string][]byte{}
	for _, o := range set.Policies {
		for _, is := range o.Spec.Issuers {
			if is.Introspection == nil {
				out[is.Name] = []byte(keys)
			}
		}
	}
	return out
}

// Request reads the parts of a question that a client sends, with the token where it is carried, or answers what is wrong with it.
func (q *Question) Request(now time.Time) (check.Input, *Answer) {
	in, err := q.input(now)
	if err != nil {
		a := problem(err)
		return in, &a
	}
	return in, nil
}

// Reported makes an answer of a report that came from elsewhere. Its fields have no lines.
func Reported(report check.Report) Answer {
	a := Answer{Report: &Verdict{Report: report, Answered: report.Reason.Answered()}}
	for _, r := range report.Rules {
		at := slices.IndexFunc(a.Policies, func(p Policy) bool { return p.ID == r.Policy })
		if at < 0 {
			at = len(a.Policies)
			a.Policies = append(a.Policies, Policy{ID: r.Policy, Audit: r.Audit})
		}
		a.Policies[at].Rules = append(a.Policies[at].Rules, newRule(r, func(string) int { return 0 }))
	}
	a.Report.Rules = nil
	return a
}
