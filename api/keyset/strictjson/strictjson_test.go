package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObjectAccepts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   string
		want map[string]any
	}{
		"an empty object with white space": {" \t\r\n{ } ", map[string]any{}},
		"every kind of value": {
			`{"s":"a","n":-1.5e3,"t":true,"f":false,"z":null,"l":[1,[]],"o":{"s":"b"}}`,
			map[string]any{
				"s": "a", "n": json.Number("-1.5e3"), "t": true, "f": false, "z": nil,
				"l": []any{json.Number("1"), []any{}}, "o": map[string]any{"s": "b"},
			},
		},
		"every escape":           {`{"a":"\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00x"}`, map[string]any{"a": "\"\\/\b\f\n\r\té😀x"}},
		"names that differ":      {`{"a":1,"A":2}`, map[string]any{"a": json.Number("1"), "A": json.Number("2")}},
		"zero in every spelling": {`{"a":0,"b":-0,"c":0.0,"d":0e0}`, map[string]any{"a": json.Number("0"), "b": json.Number("-0"), "c": json.Number("0.0"), "d": json.Number("0e0")}},
		"depth 32":               {`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Object([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); tc.want != nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestObjectRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, problem string }{
		"nothing":                          {"", "is not a JSON object"},
		"a string":                         {`"a"`, "is not a JSON object"},
		"an array":                         {`[]`, "is not a JSON object"},
		"a byte order mark":                {"\ufeff{}", "begins with a byte order mark"},
		"a second object":                  {"{}{}", "has data after its end"},
		"a trailing NUL":                   {"{}\x00", "has data after its end"},
		"a duplicate member":               {`{"a":1,"a":1}`, "has a duplicate member"},
		"a duplicate spelt by an escape":   {`{"alg":1,"\u0061lg":1}`, "has a duplicate member"},
		"a duplicate in a nested object":   {`{"o":[{"a":1,"a":2}]}`, "has a duplicate member"},
		"an open object":                   {`{"a":1`, "is not valid JSON"},
		"a trailing comma":                 {`{"a":1,}`, "is not valid JSON"},
		"a trailing comma in an array":     {`{"a":[1,]}`, "is not valid JSON"},
		"a missing colon":                  {`{"a" 1}`, "is not valid JSON"},
		"mismatched brackets":              {`{"a":[1}}`, "is not valid JSON"},
		"single quotes":                    {`{'a':1}`, "is not valid JSON"},
		"a comment":                        {`{/**/}`, "is not valid JSON"},
		"NaN":                              {`{"a":NaN}`, "is not valid JSON"},
		"a wrong literal":                  {`{"a":nul}`, "is not valid JSON"},
		"an upper-case literal":            {`{"a":True}`, "is not valid JSON"},
		"a leading zero":                   {`{"a":01}`, "has a malformed number"},
		"a leading plus":                   {`{"a":+1}`, "is not valid JSON"},
		"a bare point":                     {`{"a":1.}`, "has a malformed number"},
		"a bare exponent":                  {`{"a":1e}`, "has a malformed number"},
		"a bare minus":                     {`{"a":-}`, "has a malformed number"},
		"a number beyond a double":         {`{"a":1e400}`, "has a number out of range"},
		"a number of 65 digits":            {`{"a":` + strings.Repeat("1", 65) + `}`, "has a number of more than 64 bytes"},
		"a raw control character":          {"{\"a\":\"\n\"}", "has a control character in a string"},
		"a control character after escape": {"{\"a\":\"\\n\x01\"}", "has a control character in a string"},
		"an unknown escape":                {`{"a":"\x41"}`, "has a malformed escape"},
		"a short unicode escape":           {`{"a":"\u12"}`, "has a malformed escape"},
		"a lone high surrogate":            {`{"a":"\ud800"}`, "has a lone surrogate"},
		"a lone low surrogate":             {`{"a":"\udc00"}`, "has a lone surrogate"},
		"two high surrogates":              {`{"a":"\ud800\ud800"}`, "has a lone surrogate"},
		"an open string":                   {`{"a":"b`, "ends inside a string"},
		"an open escape":                   {`{"a":"\`, "ends inside a string"},
		"invalid UTF-8":                    {"{\"a\":\"\xff\"}", "is not valid UTF-8"},
		"an encoded surrogate":             {"{\"a\":\"\xed\xa0\x80\"}", "is not valid UTF-8"},
		"an overlong encoding":             {"{\"a\":\"\xc0\xaf\"}", "is not valid UTF-8"},
		"depth 33":                         {`{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, "nests deeper than 32"},
		"10,000 nested arrays":             {`{"a":` + strings.Repeat("[", 10000), "nests deeper than 32"},
		"10,000 nested objects":            {strings.Repeat(`{"a":`, 10000), "nests deeper than 32"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Object([]byte(tc.in))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Problem != tc.problem {
				t.Errorf("got %q, want %q", e.Problem, tc.problem)
			}
		})
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		`[1]`: true, ` [{"a":1}] `: true, `{"a":1}`: true, `"a"`: true, `7`: true, `null`: true, ``: false, `[1] 2`: false, `[1`: false,
		`[{"a":1,"a":2}]`: false, "[\"\xff\"]": false, strings.Repeat("[", 33): false,
	} {
		if _, err := Value([]byte(in)); (err == nil) != ok {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// FuzzObject holds the reader to encoding/json: what is accepted here means the same there.
func FuzzObject(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-2.5e3,"\u00e9\ud83d\ude00",true,null,{}]}`, `{"a":1,"a":2}`, `{} {}`, "\ufeff{}", `{"a":1e400}`,
		`{"a":"\ud800"}`, `{"a":01}`, "{\"a\":\"\xff\"}", `[`, `{"":""}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Object(data)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkObject(b *testing.B) {
	data := []byte(`{"iss":"https://login.example.com","sub":"248289761001","aud":["orders"],"exp":1780000000,"iat":1770000000,` +
		`"nbf":1770000000,"jti":"5f2b6a3e","scope":"orders.read orders.write","realm_access":{"roles":["reader","admin"]}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Object(data); err != nil {
			b.Fatal(err)
		}
	}
}
