package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/api/flags"
)

// pagesOf returns the pages that people read, by their path in the repository.
func pagesOf(t *testing.T) map[string]string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "config/samples/*/README.md", "hack/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	out := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.ToSlash(name)] = string(text)
	}
	return out
}

var (
	blocks  = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	spans   = regexp.MustCompile("`[^`\n]*`")
	links   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	marked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// anchors are the names of a page's headings, as forges make them.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(blocks.ReplaceAllString(page, ""), -1) {
		text := strings.ToLower(marked.ReplaceAllString(m[1], "$1"))
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return r
			}
			return -1
		}, text)
		for n, base := 1, name; out[name]; n++ {
			name = base + "-" + string(rune('0'+n))
		}
		out[name] = true
	}
	return out
}

// TestLinksLeadSomewhere follows each link of a page that stays in the repository.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages := pagesOf(t)
	seen := 0
	for name, text := range pages {
		for _, m := range links.FindAllStringSubmatch(spans.ReplaceAllString(blocks.ReplaceAllString(text, ""), ""), -1) {
			target := m[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			seen++
			file, anchor, hasAnchor := strings.Cut(target, "#")
			to := name
			if file != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(name), file))
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: %s leads nowhere", name, target)
				continue
			}
			if page, isPage := pages[to]; hasAnchor && isPage && !anchors(page)[anchor] {
				t.Errorf("%s: %s: the page has no such heading", name, target)
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d links", seen)
	}
}

// TestEachPageIsInTheTableOfContents holds docs/README.md to the pages that there are.
func TestEachPageIsInTheTableOfContents(t *testing.T) {
	t.Parallel()
	pages := pagesOf(t)
	contents := pages["docs/README.md"]
	for name := range pages {
		short, isDoc := strings.CutPrefix(name, "docs/")
		if isDoc && short != "README.md" && !strings.Contains(contents, "]("+short+")") {
			t.Errorf("docs/README.md does not link %s", short)
		}
	}
	if !strings.Contains(pages["README.md"], "](docs/README.md)") {
		t.Error("README.md does not link docs/README.md")
	}
}

// TestNamesOnPagesAreInTheCode holds annotations, labels, metrics and alerts that pages name to the code.
func TestNamesOnPagesAreInTheCode(t *testing.T) {
	t.Parallel()
	code, metrics := codeOf(t), pagesOf(t)["docs/metrics.md"]
	sidecar := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(flags.Values).Define(sidecar)
	isFlag := func(name string) bool { return sidecar.Lookup(name) != nil }
	kinds := map[string]struct {
		pattern *regexp.Regexp
		known   func(name string) bool
		least   int
	}{
		"annotation or label": {regexp.MustCompile(`[^.\w/]bearerguard\.dev/([a-z0-9-]*[a-z0-9])`), func(name string) bool {
			return isFlag(name) || strings.Contains(code, `Prefix + "`+name+`"`) || strings.Contains(code, "bearerguard.dev/"+name)
		}, 40},
		"metric": {regexp.MustCompile(`[^$\w](bearerguard_[a-z][a-z0-9_]*[a-z0-9])\b`), func(name string) bool {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, suffix)
			}
			return strings.Contains(metrics, "| `"+name+"` |") // which hack/reference holds to the programs
		}, 40},
		"alert": {regexp.MustCompile("`(Bearerguard[A-Z][A-Za-z]+)`"), func(name string) bool { return strings.Contains(code, "alert: "+name) }, 5},
	}
	for kind, k := range kinds {
		seen := 0
		for name, text := range pagesOf(t) {
			if name == "CHANGELOG.md" {
				continue // names may be of the past
			}
			for _, m := range k.pattern.FindAllStringSubmatch(text, -1) {
				seen++
				if !k.known(m[1]) {
					t.Errorf("%s: there is no %s %s", name, kind, m[1])
				}
			}
		}
		if seen < k.least {
			t.Errorf("%d of kind %s", seen, kind)
		}
	}
}

// codeOf is the text of all code, charts and manifests.
func codeOf(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"api", "charts", "cmd", "config", "controllers", "sidecar", "hack/release"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			ext := filepath.Ext(path)
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || (ext != ".go" && ext != ".yaml" && ext != ".json") {
				return err
			}
			text, err := os.ReadFile(path) //nolint:gosec // a file of the repository
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}
