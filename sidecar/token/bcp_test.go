package token

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTableOfRFC8725 reads the table of docs/tokens.md: each section of RFC 8725 has a line, each line names tests, and
// each test is there, with the case that is named.
func TestTableOfRFC8725(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(doc), "## RFC 8725, line by line")
	if !found {
		t.Fatal("docs/tokens.md has no such chapter")
	}
	table, _, _ := strings.Cut(rest, "\n## ")
	bodies := testBodies(t, ".", "../../api/keyset", "../../api/keyset/strictjson")
	sections := map[string]bool{}
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.HasPrefix(cells[1], "---") || strings.TrimSpace(cells[1]) == "section" {
			continue
		}
		sections[strings.TrimSpace(cells[1])] = true
		names := regexp.MustCompile("`(Test[^`]*)`").FindAllStringSubmatch(cells[4], -1)
		if len(names) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, n := range names {
			function, sub, hasCase := strings.Cut(n[1], "/")
			body, ok := bodies[function]
			if !ok || hasCase && !strings.Contains(body, fmt.Sprintf("%q", sub)) {
				t.Errorf("%s is not there", n[1])
			}
		}
	}
	for i := 1; i <= 12; i++ {
		if s := fmt.Sprintf("3.%d", i); !sections[s] {
			t.Errorf("section %s has no line", s)
		}
	}
}

// testBodies returns the test functions of these folders by name, with their texts.
func testBodies(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f) //nolint:gosec // the package's own files
			if err != nil {
				t.Fatal(err)
			}
			for _, chunk := range strings.Split(string(text), "\nfunc ")[1:] {
				name, _, _ := strings.Cut(chunk, "(")
				bodies[name] = chunk
			}
		}
	}
	return bodies
}
