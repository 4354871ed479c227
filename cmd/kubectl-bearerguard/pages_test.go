package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/policy"
)

// whole makes an object of what a page shows of one: of a spec, of its issuers or its rules, or of rules alone. It returns "" for
// what is no part of an object of ours.
func whole(block string) string {
	const (
		head    = "apiVersion: bearerguard.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: shown}\n"
		issuers = "  issuers: [{name: corp, issuer: \"https://login.example.com\", audiences: [orders], keys: {discovery: {}}}]\n"
		rules   = "  rules: [{name: shown, allow: {authenticated: true}}]\n"
	)
	indented := func(by string) string {
		return by + strings.ReplaceAll(strings.TrimRight(block, "\n"), "\n", "\n"+by) + "\n"
	}
	switch {
	case strings.HasPrefix(block, "apiVersion: bearerguard.dev/"):
		return block
	case strings.HasPrefix(block, "spec:") && strings.Contains(block, "sharedSignals:"):
		return strings.Replace(head, "AuthPolicy", "RevocationSource", 1) + block
	case strings.HasPrefix(block, "spec:"):
		if !strings.Contains(block, "\n  issuers:") {
			block += issuers
		}
		if !strings.Contains(block, "\n  rules:") {
			block += rules
		}
		return head + block
	case strings.HasPrefix(block, "issuers:"):
		return head + "spec:\n" + indented("  ") + rules
	case strings.HasPrefix(block, "rules:"):
		return head + "spec:\n" + issuers + indented("  ")
	case strings.HasPrefix(block, "- name:") && (strings.Contains(block, "allow:") || strings.Contains(block, "deny:")):
		return head + "spec:\n" + issuers + "  rules:\n" + indented("  ")
	}
	return ""
}

// Each policy and source of a page is one that is taken, and none of its own mistakes is warned of.
func TestPoliciesOfThePages(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			object := whole(block)
			if object == "" {
				continue
			}
			seen++
			if strings.Contains(object, "kind: RevocationSource") {
				checkSource(t, page, object)
				continue
			}
			file := filepath.Join(t.TempDir(), "policy.yaml")
			if err := os.WriteFile(file, []byte(object), 0o600); err != nil {
				t.Fatal(err)
			}
			if said, err := run(t, "check", "-f", file, "--request", "GET /"); err != nil && said == "" {
				t.Errorf("%s: %v in\n%s", page, err, object)
			}
		}
	}
	if seen < 25 {
		t.Errorf("%d objects", seen)
	}
}

func checkSource(t *testing.T, page, object string) {
	t.Helper()
	var source struct {
		Spec policy.RevocationSource `json:"spec"`
	}
	_, spec, _ := strings.Cut(object, "\nspec:")
	if err := yaml.UnmarshalStrict([]byte("spec:"+spec), &source); err != nil {
		t.Errorf("%s: %v in\n%s", page, err, object)
		return
	}
	if err := source.Spec.Validate("spec"); err != nil {
		t.Errorf("%s: %v in\n%s", page, err, object)
	}
}
