package tracing_test

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/tracing"
)

const given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// The cases are those of W3C Trace Context level 2 section 3.2 and of its test suite.
func TestParse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want string // what is sent on; empty: there is no context
	}{
		"sampled":                           {given, given},
		"not sampled":                       {given[:53] + "00", given[:53] + "00"},
		"the flag of random ids":            {given[:53] + "03", given[:53] + "03"},
		"flags that nobody knows":           {given[:53] + "ff", given[:53] + "03"},
		"a later version":                   {"01" + given[2:], given},
		"a later version that says more":    {"cc" + given[2:] + "-what-ever", given},
		"a later version with more of one":  {"cc" + given[2:] + "x", ""},
		"version 00 that says more":         {given + "-00", ""},
		"version 00 with a dash at its end": {given + "-", ""},
		"version ff":                        {"ff" + given[2:], ""},
		"no trace":                          {"00-" + strings.Repeat("0", 32) + given[35:], ""},
		"no span":                           {given[:36] + strings.Repeat("0", 16) + given[52:], ""},
		"upper case":                        {strings.ToUpper(given), ""},
		"upper case in the trace":           {given[:3] + "4BF" + given[6:], ""},
		"no hexadecimal digits":             {given[:3] + "xyz" + given[6:], ""},
		"flags of one digit":                {given[:54], ""},
		"no flags":                          {given[:52], ""},
		"another separator":                 {strings.ReplaceAll(given, "-", "_"), ""},
		"a space before":                    {" " + given, ""},
		"a space after":                     {given + " ", ""},
		"two in one":                        {given + "," + given, ""},
		"bytes":                             {"00-\xff\xfe" + given[5:], ""},
		"empty":                             {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, ok := tracing.Parse(tt.text)
			got := ""
			if ok {
				got = string(c.AppendTraceparent(nil))
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestReadState(t *testing.T) {
	t.Parallel()
	many := make([]string, 32)
	for i := range many {
		many[i] = "k" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + "=v"
	}
	all := strings.Join(many, ",")
	for name, tt := range map[string]struct {
		values []string
		want   string
	}{
		"one":                   {[]string{"rojo=00f067aa0ba902b7"}, "rojo=00f067aa0ba902b7"},
		"several fields":        {[]string{"a=1", "b=2,c=3"}, "a=1,b=2,c=3"},
		"spaces and empty ones": {[]string{" a=1 \t, ,b=2,"}, "a=1,b=2"},
		"a tenant":              {[]string{"fw529a3039@dt=FfAAAAAA"}, "fw529a3039@dt=FfAAAAAA"},
		"as many as may be":     {[]string{all}, all},
		"one more":              {[]string{all + ",z=1"}, ""},
		"a key twice":           {[]string{"a=1,b=2", "a=3"}, ""},
		"no key":                {[]string{"=1"}, ""},
		"no value":              {[]string{"a="}, ""},
		"no equals sign":        {[]string{"a"}, ""},
		"two of them":           {[]string{"a=b=c"}, ""},
		"a key in upper case":   {[]string{"A=1"}, ""},
		"a key with a space":    {[]string{"a b=1"}, ""},
		"a long key":            {[]string{strings.Repeat("k", 257) + "=1"}, ""},
		"a long value":          {[]string{"a=" + strings.Repeat("v", 257)}, ""},
		"a line of its own":     {[]string{"a=1\r\nX-Evil: 1"}, ""},
		"bytes":                 {[]string{"a=\xff"}, ""},
		"too much":              {[]string{strings.Repeat(",", 5000)}, ""},
		"none":                  {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tracing.ReadState(tt.values); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzParse holds that what is read is sent on as what it is, in one form that is read again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{given, "cc" + given[2:] + "-x", "", strings.ToUpper(given), given + "-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := tracing.Parse(text)
		if !ok {
			if c != (tracing.Context{}) {
				t.Fatal("something was read of what is none")
			}
			return
		}
		sent := string(c.AppendTraceparent(nil))
		again, ok := tracing.Parse(sent)
		if !ok || again != c || sent[2:53] != text[2:53] || len(sent) != len(given) {
			t.Fatalf("%q became %q", text, sent)
		}
	})
}

// FuzzReadState holds that what is passed on is one line of the grammar, and is read again as the same.
func FuzzReadState(f *testing.F) {
	f.Add("a=1,b=2", "c=3")
	f.Add(" a=1 ,, ", "\x00")
	f.Fuzz(func(t *testing.T, one, two string) {
		got := tracing.ReadState([]string{one, two})
		if again := tracing.ReadState([]string{got}); again != got || len(got) > len(one)+len(two)+1 {
			t.Fatalf("%q %q became %q, then %q", one, two, got, again)
		}
		for i := range len(got) {
			if got[i] < ' ' || got[i] > '~' {
				t.Fatalf("%q", got)
			}
		}
	})
}
