package reference

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	root := &cobra.Command{Use: "tool"}
	root.AddGroup(&cobra.Group{ID: "a", Title: "A:"})
	c := &cobra.Command{Use: "run", GroupID: "a", Long: "Run x < y.\nKinds:\n  one\n  two\nAnd more.\n- an item\n  goes on\n- another\nThe end.", Example: "  # First.\n  tool run \\\n    --file a",
		Run: func(*cobra.Command, []string) {}}
	c.Flags().StringP("file", "f", "a|b", "`name` of a file | or <two>")
	c.Flags().Bool("all", false, "everything")
	sub := &cobra.Command{Use: "fast", Short: "Run fast", Run: func(*cobra.Command, []string) {}}
	hidden := &cobra.Command{Use: "secret", GroupID: "a", Hidden: true, Run: func(*cobra.Command, []string) {}}
	c.AddCommand(sub)
	root.AddCommand(c, hidden)
	var b bytes.Buffer
	Write(&b, root)
	want := "### tool run\n\nRun x &lt; y.\nKinds:\n\n    one\n    two\n\nAnd more.\n- an item\n  goes on\n- another\n\nThe end.\n\n    tool run [flags]\n\n```sh\n# First.\ntool run \\\n  --file a\n```\n\n" +
		"| flag | what it is |\n|---|---|\n| `--all` | everything |\n| `-f, --file name` | name of a file \\| or &lt;two> (default a\\|b) |\n\n" +
		"#### tool run fast\n\nRun fast.\n\n    tool run fast\n\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
