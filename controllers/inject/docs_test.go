package inject_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// docsFile has tables that are written here, with -update, each below a comment that names it.
const docsFile = "../../docs/injection.md"

func TestTheDocsListEveryAnnotation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	want := withTable(t, withTable(t, got, "annotations", annotationTable()), "kept", keptTable())
	if *update {
		if err := os.WriteFile(docsFile, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is stale; run go test with -update (-want +got):\n%s", docsFile, diff)
	}
}

// withTable returns text with the table of that name.
func withTable(t *testing.T, text, name, table string) string {
	t.Helper()
	head := "<!-- Written by go test ./controllers/inject -update: " + name + ". -->\n\n"
	before, after, ok := strings.Cut(text, head)
	if !ok {
		t.Fatalf("%s has no line %s", docsFile, head)
	}
	for strings.HasPrefix(after, "|") {
		_, after, _ = strings.Cut(after, "\n")
	}
	return before + head + table + after
}

func annotationTable() string {
	var b strings.Builder
	b.WriteString("| `bearerguard.dev/...` | value | default | namespace | chart |\n|---|---|---|---|---|\n")
	for _, a := range inject.Annotated() {
		namespace, chart := "", ""
		if a.Namespace {
			namespace = "yes"
		}
		if a.Chart != "" {
			chart = "`" + a.Chart + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", strings.TrimPrefix(a.Name, v1alpha1.Prefix), a.Value, a.Default, namespace, chart)
	}
	return b.String()
}

func keptTable() string {
	var b strings.Builder
	b.WriteString("| flag | why |\n|---|---|\n")
	for _, f := range flags.Kept() {
		fmt.Fprintf(&b, "| `--%s` | %s |\n", f.Name, f.Usage)
	}
	return b.String()
}

// Every flag of docs/limits.md reaches an injected pod.
func TestEveryLimitHasAnAnnotation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `--([a-z0-9-]+)`").FindAllSubmatch(text, -1)
	if len(rows) < 19 {
		t.Fatalf("%d flags in docs/limits.md", len(rows))
	}
	for _, row := range rows {
		if name := v1alpha1.Prefix + string(row[1]); !slices.Contains(inject.NamespaceAnnotations(), name) {
			t.Errorf("%s is no annotation", name)
		}
	}
}
