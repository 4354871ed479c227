package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The policies of docs/cookbook.md are the samples; each has cases that show each of its rules, and all of them pass.
func TestCookbook(t *testing.T) {
	t.Parallel()
	const samples = repository + "/config/samples/cookbook"
	page, err := os.ReadFile(repository + "/docs/cookbook.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for block := range strings.SplitSeq(string(page), "\n```yaml\n") {
		policies, _, _ := strings.Cut(block, "```")
		_, name, isPolicy := strings.Cut(policies, "metadata: {name: ")
		if !isPolicy {
			continue
		}
		shown++
		name, _, _ = strings.Cut(name, "}")
		sample, err := os.ReadFile(filepath.Join(samples, name+".yaml"))
		if err != nil || string(sample) != policies {
			t.Errorf("%s: the page shows another policy than the sample (%v)", name, err)
		}
		if !strings.Contains(string(page), "(../config/samples/cookbook/tests/"+name+".yaml)") {
			t.Errorf("%s: the page does not link its cases", name)
		}
	}
	files, err := filepath.Glob(samples + "/*.yaml")
	if err != nil || len(files) != shown || shown < 14 {
		t.Errorf("%d samples, the page shows %d: %v", len(files), shown, err)
	}
	if said, err := run(t, "lint", "-f", samples); err != nil {
		t.Errorf("lint: %v\n%s", err, said)
	}
	said, err := run(t, "check", "--tests", samples+"/tests")
	if err != nil || strings.Contains(said, "matches the request of no case") {
		t.Errorf("%v\n%s", err, said)
	}
}
