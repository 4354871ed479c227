package frame

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// TestBlocksAreReadBack has another make of decoder read what is encoded, and looks that nothing of it stays in its table, or in any (RFC 7541
// section 6.2.3).
func TestBlocksAreReadBack(t *testing.T) {
	t.Parallel()
	fields := list(":method: GET", ":method: POST", ":method: PUT", ":scheme: http", ":scheme: https", ":scheme: x", ":path: /", ":path: /a", ":authority: a",
		":status: 200", ":status: 204", ":status: 206", ":status: 304", ":status: 400", ":status: 404", ":status: 500", ":status: 503", "x: ", "X-Upper: A",
		"long: "+strings.Repeat("b", 20_000))
	for name := range staticNames {
		if name[0] == ':' {
			continue
		}
		fields = append(fields, Field{Name: name, Value: "v"}, Field{Name: strings.ToUpper(name), Value: "V"})
	}
	for _, n := range []int{1, 14, 15, 16, 126, 127, 128, 254, 255, 4000} {
		fields = append(fields, Field{Name: strings.Repeat("n", n), Value: strings.Repeat("v", n)})
	}
	dec := hpack.NewDecoder(0, nil)
	for range 2 {
		got, err := dec.DecodeFull(encode(nil, fields))
		if err != nil {
			t.Fatal(err)
		}
		want := append([]Field{}, fields...)
		for i := range want {
			_, whole := static(want[i].Name, want[i].Value)
			want[i].Name, want[i].Sensitive = strings.ToLower(want[i].Name), !whole
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
