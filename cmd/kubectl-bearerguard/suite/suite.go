// Package suite is unit tests of policies: cases of a token or claims, a request, and what is to become of it, judged by the
// sidecar's own code. It reads their files, runs them, and writes the result for people, as TAP and as JUnit XML. It does no
// I/O: files come as bytes.
package suite

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// File is a file of cases.
type File struct {
	// Policies are files and directories with the policies and what they refer to, relative to this file. They are not read if
	// others are given.
	Policies []string `json:"policies"`
	// Labels of the workload: policies whose selector does not fit them take no part. Default: all take part.
	Labels map[string]string `json:"labels"`
	// Tests are the cases.
	Tests []Case `json:"tests"`
}

// Case is a request, and what is to become of it.
type Case struct {
	// Name tells the case from others of the file.
	Name string `json:"name"`
	// Token comes as Authorization: Bearer. Claims are judged in place of a token, and nothing is verified. At most one of them.
	Token  string `json:"token"`
	Claims *Value `json:"claims"`
	// Issuer is the name of the issuer whose token the claims would be. Default: by iss, or the only one.
	Issuer  string  `json:"issuer"`
	Request Request `json:"request"`
	// At is when, RFC 3339. Default: now.
	At     string `json:"at"`
	Expect Expect `json:"expect"`
}

// Request is what a client sends.
type Request struct {
	// Method has GET as its default.
	Method string `json:"method"`
	// Path with a query, or URL: http or https, with a host.
	Path string `json:"path"`
	URL  string `json:"url"`
	// Headers by name. More than one value of a name: separated by commas, as in HTTP.
	Headers map[string]string `json:"headers"`
	// Body is JSON unless Content-Type says otherwise.
	Body string `json:"body"`
	// Remote is the client's address, 192.0.2.1 by default; Port is what it dials, 8080 by default.
	Remote string `json:"remote"`
	Port   int    `json:"port"`
}

// Expect is what is to become of a request. What is not given may be anything.
type Expect struct {
	// Decision is Allow, Deny, or Answer where the sidecar answers itself.
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
	// Policy is namespace/name, Rule the name of a rule: the ones that decided.
	Policy string `json:"policy"`
	Rule   string `json:"rule"`
	// Status is that of a refusal.
	Status int `json:"status"`
	// Headers are those that the app gets of the token, WithoutHeaders those that it does not get.
	Headers        map[string]string `json:"headers"`
	WithoutHeaders []string          `json:"withoutHeaders"`
}

// The decisions.
const (
	Allow  = "Allow"
	Deny   = "Deny"
	Answer = "Answer"
)

// Parsed is a file that has been read.
type Parsed struct {
	File
	Name string
	doc  *manifest.Document
}

// Parse reads a file strictly, and checks what can be checked without the policies. The error joins all that is wrong, each
// with its line.
func Parse(f manifest.File) (Parsed, error) {
	p := Parsed{Name: f.Name}
	var err error
	if p.doc, err = manifest.Decode(f, &p.File); err != nil {
		return p, err
	}
	var problems []error
	if len(p.Tests) == 0 {
		problems = append(problems, p.doc.Error("tests", "there are none"))
	}
	names := map[string]bool{}
	for i := range p.Tests {
		c := &p.Tests[i]
		at := fmt.Sprintf("tests[%d]", i)
		wrong := func(path, problem string) { problems = append(problems, p.doc.Error(at+path, problem)) }
		switch {
		case c.Name == "":
			wrong(".name", "is missing; want what the case shows")
		case names[c.Name]:
			wrong(".name", fmt.Sprintf("%q is the name of another case", c.Name))
		}
		names[c.Name] = true
		if c.Token != "" && c.Claims != nil {
			wrong(".claims", "is given beside token; want one of them")
		}
		if c.Issuer != "" && c.Claims == nil {
			wrong(".issuer", "goes with claims")
		}
		if (c.Request.Path == "") == (c.Request.URL == "") {
			wrong(".request", "want exactly one of path, url")
		}
		c.Expect.check(wrong)
	}
	return p, errors.Join(problems...)
}

func (e *Expect) check(wrong func(path, problem string)) {
	if !slices.Contains([]string{Allow, Deny, Answer}, e.Decision) {
		wrong(".expect.decision", fmt.Sprintf("is %q; want Allow, Deny or Answer", e.Decision))
	}
	if e.Reason != "" && !slices.Contains(decision.Reasons(), decision.Reason(e.Reason)) {
		wrong(".expect.reason", fmt.Sprintf("there is no reason %q", e.Reason))
	}
	if e.Decision != Allow && (e.Headers != nil || e.WithoutHeaders != nil) {
		wrong(".expect.headers", "the app gets headers of requests that are allowed alone")
	}
}

// Given is what cases are judged by.
type Given struct {
	// Files are the policies and what they refer to; Namespace is that of objects that name none.
	Files     []manifest.File
	Namespace string
	// Labels of the workload, where a file names none.
	Labels map[string]string
	// Keys by issuer name, instead of what policies name.
	Keys map[string][]byte
	// Now is when, where a case does not say it.
	Now time.Time
}

// Run judges the cases. The error joins what is wrong with them: a policy, a rule or an issuer that does not exist, a request
// that is none.
func (p Parsed) Run(g Given) (Result, error) {
	set, err := manifest.ParseForCluster(g.Files, g.Namespace)
	if err != nil {
		return Result{}, err
	}
	if p.Labels != nil {
		g.Labels = p.Labels
	}
	known := newCoverage(set, g.Labels)
	var problems []error
	result := Result{File: p.Name}
	for i := range p.Tests {
		c := &p.Tests[i]
		at := fmt.Sprintf("tests[%d]", i)
		if path, problem := known.misses(&c.Expect); problem != "" {
			problems = append(problems, p.doc.Error(at+path, problem))
			continue
		}
		in, err := g.input(c)
		if err != nil {
			problems = append(problems, p.doc.Error(at, err.Error()))
			continue
		}
		report, err := check.Run(in)
		if err != nil {
			problems = append(problems, p.doc.Error(at, err.Error()))
			continue
		}
		known.note(&report)
		result.Cases = append(result.Cases, newOutcome(c, &report, p.doc.Line(at)))
	}
	result.Coverage = known.Coverage
	return result, errors.Join(problems...)
}

// input is a case as a question.
func (g Given) input(c *Case) (check.Input, error) {
	in := check.Input{
		Files: g.Files, Namespace: g.Namespace, Labels: g.Labels, Keys: g.Keys, Now: g.Now,
		Method: c.Request.Method, Port: c.Request.Port, Header: http.Header{}, Body: []byte(c.Request.Body),
	}
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	if in.Port == 0 {
		in.Port = check.DefaultPort
	}
	var err error
	if in.Host, in.Target, err = check.Target(c.Request.Path + c.Request.URL); err != nil {
		return in, fmt.Errorf("request: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Request.Headers)) {
		in.Header.Set(name, c.Request.Headers[name])
	}
	if c.Request.Body != "" && in.Header.Get("Content-Type") == "" {
		in.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		in.Header.Add("Authorization", "Bearer "+strings.TrimSpace(c.Token))
	}
	if c.Claims != nil {
		in.Claims = &check.Claims{JSON: c.Claims.JSON, Issuer: c.Issuer}
	}
	remote := c.Request.Remote
	if remote == "" {
		remote = check.DefaultRemote
	}
	if in.Remote, err = netip.ParseAddr(remote); err != nil {
		return in, fmt.Errorf("request.remote: %q is not an IP address", remote)
	}
	if c.At != "" {
		if in.Now, err = time.Parse(time.RFC3339, c.At); err != nil {
			return in, fmt.Errorf("at: %q is not a time such as 2027-01-01T00:00:00Z", c.At)
		}
	}
	return in, nil
}
