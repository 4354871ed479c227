package output

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProse(t *testing.T) {
	t.Parallel()
	text := "One two three\nfour.\n\nKinds:\n- first of\n  them all\n- second\nAnd so on.\n  RS256 ES256\n  PS256"
	want := "One two\nthree four.\n\nKinds:\n- first of\n  them all\n- second\nAnd so on.\n  RS256\n  ES256\n  PS256"
	if diff := cmp.Diff(want, Prose(text, 12)); diff != "" {
		t.Errorf("12 columns (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(text, Prose(text, 0)); diff != "" {
		t.Errorf("no limit (-want +got):\n%s", diff)
	}
}
