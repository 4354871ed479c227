package findings

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/lint"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

const policies = `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: b, namespace: shop}
spec:
  issuers: [{name: corp, issuer: "https://a.example", audiences: [a], keys: {jwksURL: "https://a.example/"}}]
  rules:
  - name: x
    match: [{paths: ["/a/:id"]}]
    allow: {scopes: [read]}
  - name: y
    match:
    - paths: [a]
    allow: {issuers: [other]}
---
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: a}
spec:
  rules: [{name: all, allow: {anonymous: true}}]
`

func files(text string) []manifest.File {
	return []manifest.File{{Name: "dir/f.yaml", Data: []byte(text)}}
}

func TestFindingsHaveTheirLine(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		text string
		want []Finding
	}{
		"nothing": {strings.NewReplacer(":id", "{id}", "paths: [a]", "paths: [/b]", "[other]", "[corp]", "anonymous: true}", "anonymous: true}, match: [{paths: [/]}]").Replace(policies), nil},
		"errors and warnings": {policies, []Finding{
			{"dir/f.yaml", 8, Warning, lint.PathSyntax, "shop/b", "spec.rules[0].match[0].paths[0]", `":id" is a literal segment: it fits only itself`, "{id} for one segment of any text"},
			{"dir/f.yaml", 12, Error, invalidPolicy, "shop/b", "spec.rules[1].match[0].paths[0]", `"a" does not start with /`, ""},
			{"dir/f.yaml", 13, Error, invalidPolicy, "shop/b", "spec.rules[1].allow.issuers[0]", `"other" is not an issuer of this policy`, ""},
			{"dir/f.yaml", 19, Warning, lint.WideAnonymous, "default/a", "spec.rules[0].allow.anonymous", "lets everybody in, to every path, and to those that the app will have later", "paths with what is public"},
		}},
		"what cannot be read": {strings.Replace(policies, "scopes", "scope", 1) + "---\nkind: AuthPolicy\n", []Finding{
			{File: "dir/f.yaml", Line: 9, Level: Error, Check: invalidFile, Path: "spec.rules[0].allow.scope"},
			{File: "dir/f.yaml", Line: 21, Level: Error, Check: invalidFile, Path: "apiVersion"},
		}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			got := found(t, c.text)
			for i := range got {
				if i < len(c.want) && c.want[i].Check == invalidFile {
					got[i].Problem = ""
				}
				if i < len(c.want) && c.want[i].Check == invalidPolicy {
					got[i].Problem, got[i].Want, c.want[i].Problem = "", "", ""
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func found(t *testing.T, text string) []Finding {
	t.Helper()
	fs, err := Find(files(text), "default")
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// Objects of others alone are no policies without a mistake.
func TestNothingIsNoGoodNews(t *testing.T) {
	t.Parallel()
	for _, given := range [][]manifest.File{nil, files("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")} {
		if fs, err := Find(given, "default"); !errors.Is(err, ErrNothing) {
			t.Errorf("%v, %v", fs, err)
		}
	}
}

func TestSARIF(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(SARIF(found(t, policies), "1.2.3"))
	if err != nil {
		t.Fatal(err)
	}
	var log Log
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 1 || len(log.Runs[0].Results) != 4 || log.Runs[0].Tool.Driver.Version != "1.2.3" {
		t.Fatalf("log is %s", text)
	}
	known := map[string]bool{}
	for _, r := range log.Runs[0].Tool.Driver.Rules {
		known[r.ID] = true
	}
	for _, r := range log.Runs[0].Results {
		at := r.Locations[0]
		if !known[r.RuleID] || at.Physical.Artifact.URI != "dir/f.yaml" || at.Physical.Region.StartLine == 0 || r.Message.Text == "" {
			t.Errorf("result is %+v", r)
		}
	}
	empty, err := json.Marshal(SARIF(nil, ""))
	if err != nil || !strings.Contains(string(empty), `"results":[]`) {
		t.Errorf("without findings: %s, %v", empty, err)
	}
}

func TestTableCounts(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	Table(&b, output.Look{}, found(t, policies))
	if !strings.HasPrefix(b.String(), "PLACE           LEVEL     CHECK            FINDING\ndir/f.yaml:8    warning   path-syntax      spec.rules[0].match[0].paths[0]: \":id\" is") ||
		!strings.HasSuffix(b.String(), "\n\n2 errors, 2 warnings\n") {
		t.Errorf("table is\n%s", b.String())
	}
	b.Reset()
	Table(&b, output.Look{Unicode: true}, nil)
	if b.String() != "✓ no findings\n" {
		t.Errorf("without findings: %q", b.String())
	}
}

// Every check is in the list that SARIF and the docs have, once, and is told of in docs/cli.md.
func TestChecksAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[lint.Check]bool{}
	for _, c := range lint.Checks() {
		if seen[c.Check] || c.Finds == "" {
			t.Errorf("%s is listed twice, or finds nothing", c.Check)
		}
		seen[c.Check] = true
		if !strings.Contains(string(page), "| `"+string(c.Check)+"` | "+strings.TrimSuffix(c.Finds, ".")) {
			t.Errorf("docs/cli.md lacks: | `%s` | %s |", c.Check, strings.TrimSuffix(c.Finds, "."))
		}
	}
}
