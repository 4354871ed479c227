package requestid

import (
	"regexp"
	"strings"
	"testing"
)

func TestSane(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		id   string
		want bool
	}{
		"a UUID":                 {"0b9d1f0a-6c1e-4a53-9d3e-1b6a0c8f7e21", true},
		"base64":                 {"q83vEjRWeJA+/w==", true},
		"a path of ids":          {"Root=1:a/b_c.d@e", true},
		"the longest":            {strings.Repeat("Z", 128), true},
		"one byte more":          {strings.Repeat("Z", 129), false},
		"nothing":                {"", false},
		"a space":                {"a b", false},
		"a line break":           {"a\nb", false},
		"a carriage return":      {"a\r", false},
		"NUL":                    {"a\x00", false},
		"DEL":                    {"a\x7f", false},
		"an escape":              {"\x1b[31m", false},
		"beyond ASCII":           {"caf\u00e9", false},
		"broken UTF-8":           {"\xff", false},
		"a quote":                {`a"`, false},
		"a backslash":            {`a\`, false},
		"HTML":                   {"<b>", false},
		"a lookup of Log4j":      {"${jndi:ldap://evil}", false},
		"a shell":                {"$(id)", false},
		"several in one":         {"a,b", false},
		"what is beside letters": {"[`{@", false},
	}
	for name, tt := range tests {
		if got := Sane(tt.id); got != tt.want {
			t.Errorf("%s: Sane(%q) = %v", name, tt.id, got)
		}
	}
}

func TestChooseOf(t *testing.T) {
	t.Parallel()
	made := regexp.MustCompile(`^[0-9a-f]{32}$`)
	var none ID
	if !none.None() || none.Text() != "" {
		t.Errorf("the zero ID is %q", none.Text())
	}
	seen := map[string]bool{}
	for name, values := range map[string][]string{
		"no field": nil, "two fields": {"a", "b"}, "an empty one": {""}, "one that is not sane": {"a b"}, "one that is too long": {strings.Repeat("a", 129)},
	} {
		var id ID
		id.ChooseOf(values)
		if id.None() || !made.MatchString(id.Text()) || seen[id.Text()] || !Sane(id.Text()) {
			t.Errorf("%s: the id is %q", name, id.Text())
		}
		seen[id.Text()] = true
	}
	for _, given := range []string{"a", strings.Repeat("b", Max)} {
		var id ID
		if id.ChooseOf([]string{given}); id.Text() != given {
			t.Errorf("given %q, got %q", given, id.Text())
		}
	}
}

// What a client gave may lie in memory that is used again.
func TestAnIDOutlivesWhatItWasChosenFrom(t *testing.T) { //nolint:paralleltest // counts allocations
	var id ID
	id.Make()
	id.Choose("short") // over a longer one
	if id.Text() != "short" {
		t.Errorf("got %q", id.Text())
	}
	if n := testing.AllocsPerRun(100, func() { id.Choose("a-b"); id.Choose("!") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
