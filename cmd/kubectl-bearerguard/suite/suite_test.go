package suite

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func given(t testing.TB) Given {
	t.Helper()
	const name = "../../../config/samples/standalone/authpolicy.yaml"
	data, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return Given{Files: []manifest.File{{Name: "authpolicy.yaml", Data: data}}, Namespace: "default", Now: noon}
}

func result(t *testing.T, text string) (Result, error) {
	t.Helper()
	p, err := Parse(manifest.File{Name: "t.yaml", Data: []byte(text)})
	if err != nil {
		return Result{}, err
	}
	return p.Run(given(t))
}

const someFail = `tests:
- {name: "passes", request: {path: /docs/a}, expect: {decision: Allow, reason: Allowed, policy: shop/orders, rule: public, withoutHeaders: [X-User]}}
- name: "another decision # and <rule>"
  claims: {sub: alice, scope: orders.read, realm_access: {roles: [reader]}, exp: 1764072060}
  at: 2025-11-25T12:00:00Z
  request: {url: "https://orders.example.com/orders/1?x=1"}
  expect: {decision: Deny, reason: NoRule, rule: write, status: 403}
- name: "headers"
  claims: {sub: alice, scope: orders.read, realm_access: {roles: [reader]}}
  request: {path: /orders/1, headers: {X-Roles: admin}}
  expect: {decision: Allow, headers: {x-user: bob, X-Team: a}, withoutHeaders: [X-Roles]}
- name: no role
  claims: {sub: alice, scope: orders.read}
  request: {path: /orders/1}
  expect: {decision: Allow}
`

func TestWhatDiffersIsSaid(t *testing.T) {
	t.Parallel()
	got, err := result(t, someFail)
	if err != nil {
		t.Fatal(err)
	}
	want := []Outcome{
		{Name: "passes", Line: 2, Passed: true, Verdict: "Allow Allowed, by rule public of shop/orders"},
		{Name: "another decision # and <rule>", Line: 3, Differences: []string{
			"decision is Allow; want Deny", "reason is Allowed; want NoRule", "rule is read; want write", "status is 0; want 403",
		}, Verdict: "Allow Allowed, by rule read of shop/orders", Why: got.Cases[1].Why},
		{Name: "headers", Line: 8, Differences: []string{
			"header X-Team is none; want a", "header x-user is alice; want bob", "header X-Roles is reader; want none",
		}, Verdict: "Allow Allowed, by rule read of shop/orders", Why: got.Cases[2].Why},
		{Name: "no role", Line: 12, Differences: []string{"decision is Deny; want Allow"}, Verdict: "Deny NoRule, by shop/orders", Why: got.Cases[3].Why},
	}
	want[3].Verdict = got.Cases[3].Verdict
	if diff := cmp.Diff(want, got.Cases); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if why := strings.Join(got.Cases[3].Why, "\n"); !strings.Contains(why, "nearest: rule read of shop/orders\nfailed: spec.rules[1].allow.claims[0]") {
		t.Errorf("why is %s", why)
	}
	coverage := []Rule{
		{"shop/orders", "public", 1, 1}, {"shop/orders", "read", 3, 2}, {"shop/orders", "write", 0, 0},
		{"shop/orders", "own-profile", 0, 0}, {"shop/orders", "archive-is-read-only", 0, 0},
	}
	if diff := cmp.Diff(coverage, got.Coverage); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
}

func TestMistakesHaveTheirLine(t *testing.T) {
	t.Parallel()
	one := func(text string) string { return "tests:\n- name: a\n" + text }
	const fine = "  request: {path: /}\n  expect: {decision: Deny"
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":                     {"", "t.yaml: is empty"},
		"no cases":                    {"tests: []", "t.yaml:1: tests: there are none"},
		"two documents":               {"tests: []\n---\ntests: []", "t.yaml:2: has another document"},
		"an unknown field":            {one("  request: {pth: /}"), "t.yaml:3: tests[0].request.pth: is not a known field; want one of body, headers"},
		"a field twice":               {one("  name: b"), "t.yaml:3: tests[0].name: is given twice"},
		"the same name twice":         {one(fine + "}\n- name: a\n" + fine + "}"), `t.yaml:5: tests[1].name: "a" is the name of another case`},
		"no name":                     {"tests:\n- request: {path: /}\n  expect: {decision: Deny}", "t.yaml:2: tests[0].name: is missing"},
		"no path":                     {one("  request: {method: GET}\n  expect: {decision: Deny}"), "t.yaml:3: tests[0].request: want exactly one of path, url"},
		"no decision":                 {one("  request: {path: /}\n  expect: {}"), `t.yaml:4: tests[0].expect.decision: is ""; want Allow, Deny or Answer`},
		"a reason that is none":       {one(fine + ", reason: Nope}"), `t.yaml:4: tests[0].expect.reason: there is no reason "Nope"`},
		"headers of a refusal":        {one(fine + ", headers: {X-User: a}}"), "tests[0].expect.headers: the app gets headers of requests that are allowed alone"},
		"a policy that is none":       {one(fine + ", policy: shop/pay}"), `t.yaml:4: tests[0].expect.policy: there is no policy "shop/pay"; want one of shop/orders`},
		"a rule that is none":         {one(fine + ",\n    rule: raed}"), `t.yaml:5: tests[0].expect.rule: no policy has a rule "raed"; want one of public, read, write, own-profile, archive-is-read-only`},
		"token and claims":            {one("  token: x\n  claims: {}\n" + fine + "}"), "t.yaml:4: tests[0].claims: is given beside token"},
		"an issuer without claims":    {one("  issuer: corp\n" + fine + "}"), "t.yaml:3: tests[0].issuer: goes with claims"},
		"an issuer that is none":      {one("  issuer: x\n  claims: {}\n" + fine + "}"), `t.yaml:2: tests[0]: the claims: no policy has an issuer with the name "x"`},
		"claims that are text":        {one("  claims: alice\n" + fine + "}"), "t.yaml:3: tests[0].claims: is no object; want names and values"},
		"a claim that no JSON has":    {one("  claims: {a: .inf}\n" + fine + "}"), "t.yaml:3: tests[0].claims: line 3: .inf is no number of JSON"},
		"a time that is none":         {one("  at: noon\n" + fine + "}"), `tests[0]: at: "noon" is not a time`},
		"an address that is none":     {one("  request: {path: /, remote: here}\n  expect: {decision: Deny}"), `tests[0]: request.remote: "here" is not an IP address`},
		"a path that is none":         {one("  request: {path: orders}\n  expect: {decision: Deny}"), `tests[0]: request: "orders": the path must begin with /`},
		"several mistakes in one run": {one(fine + ", rule: x}\n- name: b\n" + fine + ", rule: y}"), `t.yaml:7: tests[1].expect.rule: no policy has a rule "y"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := result(t, tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestLabelsLeaveOutPoliciesAndTheirRules(t *testing.T) {
	t.Parallel()
	got, err := result(t, "labels: {app: pay}\ntests:\n- {name: a, request: {path: /docs/a}, expect: {decision: Deny, reason: NoPolicy}}")
	if err != nil || got.Failed() != 0 || len(got.Coverage) != 0 {
		t.Errorf("%v, %+v", err, got)
	}
}

func TestResultsAreWritten(t *testing.T) {
	t.Parallel()
	one, err := result(t, someFail)
	if err != nil {
		t.Fatal(err)
	}
	results := []Result{one}
	var text, tap, junit bytes.Buffer
	Text(&text, output.Look{Unicode: true}, results)
	TAP(&tap, results)
	if err := JUnit(&junit, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"t.yaml\n├─ ✓ passes\n├─ ✗ another decision # and <rule> (line 3)\n│  ├─ decision is Allow; want Deny\n",
		"\n1 case passed, 3 failed\ncoverage: 2 of 5 rules\n├─ ! rule write of shop/orders matches the request of no case\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("text lacks\n%s\n%s", want, text.String())
		}
	}
	for _, want := range []string{
		"TAP version 14\n1..4\nok 1 - passes\nnot ok 2 - another decision \\# and <rule>\n  ---\n  at: \"t.yaml:3\"\n",
		"\n  ...\n# coverage: rule write of shop/orders matches the request of no case\n",
	} {
		if !strings.Contains(tap.String(), want) {
			t.Errorf("TAP lacks\n%s\n%s", want, tap.String())
		}
	}
	var suites junitSuites
	if err := xml.Unmarshal(junit.Bytes(), &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Tests != 4 || suites.Failures != 3 || len(suites.Suites) != 1 || len(suites.Suites[0].Cases) != 4 {
		t.Errorf("JUnit is\n%s", junit.String())
	}
	if f := suites.Suites[0].Cases[2].Failure; f == nil || !strings.Contains(f.Message, "header X-Team is none; want a") {
		t.Errorf("JUnit is\n%s", junit.String())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(someFail))
	f.Add([]byte("tests: [{name: a, claims: &a {b: [*a]}, request: {path: /}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(manifest.File{Name: "f", Data: data})
		if err == nil && len(p.Tests) == 0 {
			t.Error("no cases, and no error")
		}
	})
}
