package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
)

const onePolicy = `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  selector: {matchLabels: {app: orders}}
  rules:
  - {name: all-%s, allow: {anonymous: true}}
`

// folder is one with a file a.yaml, and what reads it.
func folder(t testing.TB, text string) (d *Dir, file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "a.yaml")
	put(t, file, text)
	d = NewDir(DirConfig{Path: dir, Apply: func(*bundle.Bundle, string) error { return nil }})
	t.Cleanup(d.Close)
	return d, file
}

func put(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rule is the name of the only rule that the folder has.
func rule(t *testing.T, d *Dir) string {
	t.Helper()
	r, err := d.read()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.set.Policies) != 1 {
		t.Fatalf("%d policies, want one", len(r.set.Policies))
	}
	return r.set.Policies[0].Spec.Rules[0].Name
}

func TestAFolderThatIsAsItWasIsNotParsedAgain(t *testing.T) {
	t.Parallel()
	d, file := folder(t, fmt.Sprintf(onePolicy, "a"))
	rule(t, d)
	first := d.parsed
	if rule(t, d); d.parsed != first {
		t.Error("it is parsed again, though nothing changed")
	}
	now := time.Now()
	if err := os.Chtimes(file, now, now); err != nil {
		t.Fatal(err)
	}
	if rule(t, d); d.parsed != first {
		t.Error("it is parsed again, though no byte changed")
	}
	put(t, file, "kind: [")
	_, err := d.read()
	broken := d.parsed
	if _, again := d.read(); err == nil || again == nil || again.Error() != err.Error() || d.parsed != broken {
		t.Errorf("a folder that stays wrong: %v, then %v", err, again)
	}
	put(t, file, fmt.Sprintf(onePolicy, "a"))
	if got := rule(t, d); got != "all-a" {
		t.Errorf("mended, it has the rule %s", got)
	}
}

// A change is seen that keeps the file's size, time and inode; so is one by a link, as a ConfigMap's folder has it, and a file's name.
func TestNoChangeIsMissed(t *testing.T) {
	t.Parallel()
	d, file := folder(t, fmt.Sprintf(onePolicy, "a"))
	rule(t, d)
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	put(t, file, fmt.Sprintf(onePolicy, "b"))
	if err := os.Chtimes(file, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		t.Fatal("the file looks changed", err)
	}
	if got := rule(t, d); got != "all-b" {
		t.Errorf("after a change that only the bytes show, the rule is %s, want all-b", got)
	}
	for _, name := range []string{"c", "d"} {
		version := filepath.Join(filepath.Dir(file), "..version-"+name)
		if err := os.Mkdir(version, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(version, "a.yaml"), fmt.Sprintf(onePolicy, name))
		link, data := filepath.Join(filepath.Dir(file), "..new"), filepath.Join(filepath.Dir(file), "..data")
		if err := os.Symlink(filepath.Base(version), link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, data); err != nil {
			t.Fatal(err)
		}
		if name == "c" {
			_ = os.Remove(file)
			if err := os.Symlink("..data/a.yaml", file); err != nil {
				t.Fatal(err)
			}
		}
		if got := rule(t, d); got != "all-"+name {
			t.Errorf("after a change of the link, the rule is %s, want all-%s", got, name)
		}
	}
	if err := os.Rename(file, filepath.Join(filepath.Dir(file), "b.yaml")); err != nil {
		t.Fatal(err)
	}
	r, err := d.read()
	if err != nil {
		t.Fatal(err)
	}
	if got := r.set.Place(r.set.Policies[0], "spec"); got != "b.yaml:4" && got != "b.yaml:5" {
		t.Errorf("the policy is at %s, want b.yaml", got)
	}
}

func BenchmarkAFolderThatIsAsItWas(b *testing.B) {
	d, file := folder(b, fmt.Sprintf(onePolicy, "a"))
	for i := range 100 {
		put(b, filepath.Join(filepath.Dir(file), fmt.Sprintf("%d.yaml", i)), strings.Replace(fmt.Sprintf(onePolicy, "a"), "{name: orders}", fmt.Sprintf("{name: orders-%d}", i), 1))
	}
	for name, forget := range map[string]bool{"parsed": true, "looked at": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if forget {
					d.parsed = nil
				}
				if _, err := d.read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
