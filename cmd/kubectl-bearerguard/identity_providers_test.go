package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The policies of docs/identity-providers.md are the samples, in the page's order, and the command that the page names runs their tests.
func TestIdentityProviders(t *testing.T) {
	t.Parallel()
	const samples = "../../config/samples/identity-providers"
	page, err := os.ReadFile("../../docs/identity-providers.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for block := range strings.SplitSeq(string(page), "\n```yaml\n") {
		policy, _, _ := strings.Cut(block, "```")
		_, name, isPolicy := strings.Cut(policy, "metadata: {name: ")
		if !isPolicy {
			continue
		}
		name, _, _ = strings.Cut(name, "}")
		shown[name] = true
		sample, err := os.ReadFile(filepath.Join(samples, name+".yaml"))
		if err != nil || string(sample) != policy {
			t.Errorf("%s: the page shows another policy than the sample (%v)", name, err)
		}
	}
	files, err := filepath.Glob(samples + "/*.yaml")
	if err != nil || len(files) != len(shown) || len(files) < 12 {
		t.Errorf("%d samples, the page shows %d: %v", len(files), len(shown), err)
	}
	for _, file := range files {
		if said, _ := run(t, "check", "-f", file, "--request", "GET /"); strings.Contains(said, "warning:") {
			t.Errorf("%s: %s", file, said)
		}
	}
	said, err := run(t, "check", "--tests", samples+"/tests")
	if err != nil || !strings.Contains(said, "35 cases passed") || !strings.Contains(said, "20 of 20 rules") {
		t.Errorf("%v\n%s", err, said)
	}
}
