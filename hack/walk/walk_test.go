package walk

import (
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const page = "# A page\n\n## First\n\n```sh\nX=one\necho \"$X\"\nfalse\n```\n\nIt says:\n\n```text\no...\n```\n\n```sh\nprintf 'a\\nb\\nc' # no line's end\n```\n" +
	"\n```text\n...\nc\n```\n\n```sh\nfalse\n```\n\n### Below\n\n```sh\nexit 3\n```\n"

// A shell keeps its variables from block to block; each block has its own output and exit code.
func TestWalk(t *testing.T) {
	t.Parallel()
	section, err := Section(page, "## First")
	if err != nil {
		t.Fatal(err)
	}
	blocks := Blocks(section)
	blocks = append(blocks, Block{Commands: "echo \"$X\"\n", Want: "one"}, Block{Commands: "exit 3\n"}, Block{Commands: "true\n"})
	out, err := exec.CommandContext(t.Context(), "bash", "-c", Script("set -u", blocks)).Output() //nolint:gosec // a test
	if err == nil {
		t.Error("the shell did not end with 3")
	}
	got := Results(string(out))
	want := []Result{{"one", 1}, {"a\nb\nc", 0}, {"", 1}, {"one", 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	for i, wrong := range []bool{false, false, true, false} {
		if err := blocks[i].Judge(got[i]); (err != nil) != wrong {
			t.Errorf("%s: %v", blocks[i].Name(), err)
		}
	}
	if _, err := Section(page, "## Second"); err == nil {
		t.Error("there is a section that is not there")
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		said, want string
		fits       bool
	}{
		{"a\nb", "a\nb", true},
		{"a\nb", "a", false},
		{"a", "a\nb", false},
		{"abc\nd", "a...\nd", true},
		{"xabc", "a...", false},
		{"a\nb\nc\nd", "a\n...\nd", true},
		{"a\nd", "a\n...\nd", true},
		{"a\nb", "a\n...", true},
		{"a\nb\nc", "...\nb", false},
		{"", "a", false},
	} {
		if got := Fits(c.said, c.want); got != c.fits {
			t.Errorf("%q as %q: %v", c.said, c.want, got)
		}
	}
}
