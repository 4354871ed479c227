package printable

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		text string
		most int
		want string
	}{
		"plain text":                  {"a b", 9, "a b"},
		"a line break":                {"a\nb", 9, `a\nb`},
		"a terminal's escape":         {"\x1b[31m", 9, `\x1b[31m`},
		"a change of direction":       {"a\u202eb", 9, `a\u202eb`},
		"an escape that does not fit": {"abcdef\x1b", 9, "abcdef..."},
		"as much as there may be":     {"abcdefghi", 9, "abcdefghi"},
		"no UTF-8":                    {"a\xffb", 9, `a\xffb`},
		"letters of any language":     {"é", 9, "é"},
		"more than there may be":      {strings.Repeat("é", 400), 9, "ééé..."},
	} {
		if got := Text(c.text, c.most); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://user:secret@a.test/k?token=x#y": "https://a.test/k",
		"https://a.test/\u202e":                  "https://a.test/%E2%80%AE",
		"https://a.test/%zz":                     "the URL",
	} {
		if got := URL(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}
