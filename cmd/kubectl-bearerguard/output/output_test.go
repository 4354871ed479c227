package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

func TestTables(t *testing.T) {
	t.Parallel()
	table := NewTable("NAME", "AGE", "PROBLEM")
	table.Row(Text("orders"), Count(3), Cell{"the key set has no key that fits any algorithm of the issuer", Bad})
	table.Row(Cell{"pay\x1b[2J", Good}, Text("12d"))
	tests := map[string]struct {
		look Look
		want string
	}{
		"without a limit": {Look{}, `
NAME         AGE   PROBLEM
orders       3     the key set has no key that fits any algorithm of the issuer
pay\x1b[2J   12d
`},
		"on a narrow screen the last column has several lines": {Look{Width: 50}, `
NAME         AGE   PROBLEM
orders       3     the key set has no key that
                   fits any algorithm of the
                   issuer
pay\x1b[2J   12d
`},
		"colours take no room": {Look{Colour: true}, "\n" +
			"\x1b[1mNAME\x1b[0m         \x1b[1mAGE\x1b[0m   \x1b[1mPROBLEM\x1b[0m\n" +
			"orders       3     \x1b[31mthe key set has no key that fits any algorithm of the issuer\x1b[0m\n" +
			"\x1b[32mpay\\x1b[2J\x1b[0m   12d\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			table.Write(&b, tt.look)
			if diff := cmp.Diff(tt.want, "\n"+b.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Where no room is left beside the others, the last column is below its row, and no line is wider than the screen.
func TestTableBelow(t *testing.T) {
	t.Parallel()
	table := NewTable("PLACE", "LEVEL", "FINDING")
	table.Row(Text("policies/orders.yaml:10"), Text("warning"), Text("takes tokens that were made for other apps"))
	table.Row(Text("none"))
	var b bytes.Buffer
	table.Write(&b, Look{Width: 36})
	want := "PLACE                     LEVEL\npolicies/orders.yaml:10   warning\n    takes tokens that were made for\n    other apps\nnone\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTrees(t *testing.T) {
	t.Parallel()
	tree := Node{Head: "policy shop/orders", Style: Strong, Text: "refuses", Children: []Node{
		{Mark: Bad, Head: "rule read", Text: "matches, and its conditions do not hold", Children: []Node{
			{Mark: Good, Text: "scopes"},
			{Mark: Bad, Text: "claims[0]", Notes: []string{"the claim roles does not satisfy anyOf"}},
		}},
		{Mark: Faint, Head: "rule write", Text: "another method"},
	}}
	tests := map[string]struct {
		look Look
		want string
	}{
		"ASCII": {Look{}, `
policy shop/orders refuses
|- - rule read matches, and its conditions do not hold
|  |- + scopes
|  ` + "`" + `- - claims[0]
|       the claim roles does not satisfy anyOf
` + "`" + `- . rule write another method
`},
		"Unicode, on a narrow screen": {Look{Unicode: true, Width: 32}, `
policy shop/orders refuses
├─ ✗ rule read matches, and its
│  │ conditions do not hold
│  ├─ ✓ scopes
│  └─ ✗ claims[0]
│       the claim roles does not
│       satisfy anyOf
└─ · rule write another method
`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			tt.look.Tree(&b, tree)
			if diff := cmp.Diff(tt.want, "\n"+b.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLookOfWhatIsNoTerminal(t *testing.T) {
	t.Parallel()
	env := map[string]string{"LANG": "de_DE.UTF-8", "COLUMNS": "80"}
	if diff := cmp.Diff(Look{Unicode: true}, LookOf(&bytes.Buffer{}, func(k string) string { return env[k] })); diff != "" {
		t.Error(diff)
	}
	env["LC_ALL"] = "C"
	if diff := cmp.Diff(Look{}, LookOf(&bytes.Buffer{}, func(k string) string { return env[k] })); diff != "" {
		t.Error(diff)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	value := map[string]any{"a": "<1>", "b": []int{2}}
	for format, want := range map[string]string{
		"text": "for people\n",
		"json": "{\n  \"a\": \"<1>\",\n  \"b\": [\n    2\n  ]\n}\n",
		"yaml": "a: <1>\nb:\n- 2\n",
	} {
		var f Format
		AddFlag(&cobra.Command{Use: "x"}, &f, FormatText, FormatJSON, FormatYAML)
		if err := f.Set(format); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := f.Value(&b, value, func(w io.Writer, _ Look) { fmt.Fprintln(w, "for people") }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
	var f Format
	AddFlag(&cobra.Command{Use: "x"}, &f, FormatTable, FormatJSON)
	if err := f.Set("xml"); err == nil || err.Error() != "want table or json" || f.String() != FormatTable {
		t.Errorf("xml: %v, %s", err, f.String())
	}
}

// What is written as YAML is read as what it was, whatever characters its texts have.
func TestMarshalYAML(t *testing.T) {
	t.Parallel()
	for r := range rune(0x11000) {
		in := map[string]string{"a": "x" + string(r) + "y", "b" + string(r): "c"}
		text, err := MarshalYAML(in)
		if err != nil {
			t.Errorf("%U: %v", r, err)
			continue
		}
		var out map[string]string
		if err := yaml.Unmarshal(text, &out); err != nil || !maps.Equal(in, out) {
			t.Errorf("%U: %q is read as %q, %v", r, text, out, err)
		}
	}
}

// JSON is read as YAML, with its values.
func TestJSONForYAML(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"\/a\\/":"\\\/\\\\\/"}`, `{"a":"\ud83d\ude00\uD83D\uDE00"}`, `{"a":"\ud83d\ud83d\ude00\ude00\\ud83d"}`, `{"a":"\ud83d"}`, `{"a":"\u00e9\u0000\b\f\n\r\t\""}`,
		"{\"a\":\"\x7f\u0085\uffff😀\"}", "{\"a \u2028 b\":\"a \u2029 b\u2028--- c\"}", "{\n\t\"a\"\t:\r\n[1.5e3, true]}",
	} {
		var want, got any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(JSONForYAML([]byte(text)), &got); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%q is %q; want %q; %v", text, got, want, err)
		}
	}
}

func TestProgressIsSilentForASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		quick := NewProgress(&b, "asking pods")
		time.Sleep(patience / 2)
		quick.Step("asking another")
		quick.Done()
		time.Sleep(2 * patience)
		if b.Len() != 0 {
			t.Errorf("after half a second: %q", b.String())
		}
		slow := NewProgress(&b, "asking pods")
		slow.Step("1 of 2 pods")
		time.Sleep(2 * patience)
		slow.Step("2 of 2 pods")
		slow.Done()
		slow.Step("more")
		if want := "1 of 2 pods ...\n2 of 2 pods ...\n"; b.String() != want {
			t.Errorf("it says %q; want %q", b.String(), want)
		}
	})
}
