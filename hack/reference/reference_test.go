package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

const root = "../.."

func TestPagesAreUpToDate(t *testing.T) {
	t.Parallel()
	pages, err := render(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what the code says: run make generate\n%s", name, diff)
		}
	}
}

// TestProblemTypesAreSectionsOfThePage holds the addresses in the answers to what is there to be read.
func TestProblemTypesAreSectionsOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "reasons.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range decision.Reasons() {
		if n := strings.Count(string(page), "\n### "+string(reason)+"\n"); n != 1 {
			t.Errorf("%s has %d sections", reason, n)
		}
		file, anchor, _ := strings.Cut(refuse.Type(reason), "#")
		if !strings.HasSuffix(file, "/docs/reasons.md") || anchor != strings.ToLower(string(reason)) {
			t.Errorf("%s: its type is %s", reason, refuse.Type(reason))
		}
	}
}

func TestAReasonWithoutTextIsAnError(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for name, r := range map[string]reason{
		"no comment": {name: string(decision.NoToken)}, "no advice": {name: "Unheard", means: "nobody knows"},
	} {
		if err := writeReason(&b, r, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	file := filepath.Join(t.TempDir(), "reason.go")
	if err := os.WriteFile(file, []byte("package decision\n\n// Some.\nconst (\n\t// Allowed: yes.\n\tAllowed = 1\n)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readReasons(file); err == nil || !strings.Contains(err.Error(), "reason NoToken is not in") {
		t.Errorf("a list that lacks reasons: %v", err)
	}
}

func TestCausesAreReadFromTheCode(t *testing.T) {
	t.Parallel()
	causes, err := readCauses(root)
	if err != nil {
		t.Fatal(err)
	}
	for reason, want := range map[decision.Reason]string{
		decision.Expired: "exp has passed", decision.BadClaim: "aud is …, not a string or a list of strings",
		decision.UnknownKey: "no key fits alg …", decision.BadProof: "the proof has no jwk, the public key that it was made with",
		decision.BadPath: "the path has %00", decision.BadHost: "the host is missing",
		decision.BadMethod: "TRACE shows the client what the sidecar adds", decision.KeyBound: "cnf binds the token to a key",
	} {
		found := false
		for _, c := range causes[string(reason)] {
			found = found || c == want
		}
		if !found {
			t.Errorf("%s lacks the cause %q: %q", reason, want, causes[string(reason)])
		}
	}
}

// TestEveryMetricIsOnThePage looks for names of metrics in the code, whoever registers them.
func TestEveryMetricIsOnThePage(t *testing.T) {
	t.Parallel()
	page, err := metricsPage()
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`"(bearerguard_[a-z0-9_]*[a-z0-9])"`)
	found := 0
	for _, dir := range []string{"sidecar", "controllers", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path) //nolint:gosec // a file of the repository
			for _, m := range name.FindAllStringSubmatch(string(text), -1) {
				found++
				if !strings.Contains(page, "| `"+m[1]+"` |") {
					t.Errorf("%s: %s is not on the page", path, m[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 15 {
		t.Errorf("%d names of metrics were found in the code", found)
	}
}

// TestMetricsOfTheProgramsThemselves holds those that are written down here to the code that registers them.
func TestMetricsOfTheProgramsThemselves(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"bearerguard_bypassable_ports": "cmd/sidecar/ports.go", "bearerguard_checks_total": "cmd/sidecar/serve.go", "bearerguard_admission_total": "controllers/webhook/config.go",
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range append(others["sidecar"], others["controller"]...) {
			if m.name != name {
				continue
			}
			for _, want := range append([]string{`"` + m.name + `"`, m.help}, m.labels...) {
				if !strings.Contains(string(text), want) {
					t.Errorf("%s lacks %s", file, want)
				}
			}
		}
	}
}

// A program's flag whose default cannot be read, and a value that the schema lacks, is an error, not a row that is wrong.
func TestWhatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "flags.go")
	if err := os.WriteFile(file, []byte("package main\n\nfunc f() { fs.StringVar(&a, \"a\", other(), \"what\") }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := flagsOf(file); err == nil || !strings.Contains(err.Error(), "list it in constants") {
		t.Errorf("a default that is a call: %v", err)
	}
	chart := filepath.Join(dir, "charts", "bearerguard")
	if err := os.MkdirAll(chart, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"values.yaml": "a: 1\n", "values.schema.json": `{"properties": {"b": {"type": "integer"}}}`} {
		if err := os.WriteFile(filepath.Join(chart, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := valuesPage(dir); err == nil || !strings.Contains(err.Error(), "value a is not in values.schema.json") {
		t.Errorf("a value without a schema: %v", err)
	}
}

// The reference has the bounds and rules of a field, and a section for what is below it.
func TestFieldsOfTheAPI(t *testing.T) {
	t.Parallel()
	page, err := apiPage(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n### AuthPolicy: spec.issuers[]\n", "| `mode` | string |", "Default: `\"Enforce\"`. One of `Enforce`, `Audit`.", "1 to 16 items.",
		"[list of object](#authpolicy-specrules)", "Held to: ", "| `issuer` | string, **required** |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
