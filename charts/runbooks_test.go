package charts

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// sectionsOf returns the sections of a page by their fragments, as Markdown makes them of headings.
func sectionsOf(page string) map[string]string {
	out := map[string]string{}
	for _, section := range strings.Split(page, "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		out[strings.ToLower(heading)] = text
	}
	return out
}

// Each alert's runbook_url leads to a section of docs/runbooks.md, which says all that one is woken up for, and no section is of an alert that
// there is not. That its commands exist is for TestCommandsOfThePages.
func TestEachAlertHasARunbook(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := sectionsOf(string(page))
	for base, values := range map[string]string{
		"https://github.com/bearerguard/bearerguard/blob/main/docs/runbooks.md": `metrics={"prometheusRule":{"enabled":true}}`,
		"https://wiki.example/bearerguard":                                      `metrics={"prometheusRule":{"enabled":true,"runbooks":"https://wiki.example/bearerguard"}}`,
	} {
		text, err := render(t, values)
		if err != nil {
			t.Fatal(err)
		}
		var met []string
		for _, o := range objects(t, text) {
			if o.GetKind() != "PrometheusRule" {
				continue
			}
			for _, rule := range rulesOf(t, o) {
				name, _, _ := unstructured.NestedString(rule, "alert")
				url, _, _ := unstructured.NestedString(rule, "annotations", "runbook_url")
				fragment := strings.ToLower(name)
				if met = append(met, fragment); url != base+"#"+fragment {
					t.Errorf("%s leads to %q, want %q", name, url, base+"#"+fragment)
				}
				for _, want := range []string{"**What it means.** ", "**See it.**", "**Do.** ", "**Prevent.** ", "\n```sh\n"} {
					if !strings.Contains(sections[fragment], want) {
						t.Errorf("docs/runbooks.md does not have %q of %s", want, name)
					}
				}
			}
		}
		for fragment := range sections {
			if !slices.Contains(met, fragment) {
				t.Errorf("docs/runbooks.md has a section of %s, which is no alert", fragment)
			}
		}
	}
	if n := len(regexp.MustCompile("(?m)^```sh$").FindAllString(string(page), -1)); n < len(sections) {
		t.Errorf("%d blocks of commands for %d alerts", n, len(sections))
	}
}
