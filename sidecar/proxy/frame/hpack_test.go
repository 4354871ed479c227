package frame

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// FuzzDecode holds what is decoded of blocks, one after the other, against another make's decoder.
func FuzzDecode(f *testing.F) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := range 40 {
		_ = enc.WriteField(hpack.HeaderField{Name: "x-" + strings.Repeat("n", i), Value: strings.Repeat("é~{", i)})
		_ = enc.WriteField(hpack.HeaderField{Name: "authorization", Value: strings.Repeat("t", 10*i), Sensitive: i%2 == 0})
	}
	f.Add(block.Bytes(), block.Bytes())
	f.Add([]byte{0x82, 0x84, 0x40, 1, 'a', 1, 'b'}, []byte{0xbe, 0x20, 0x3f, 0xe1, 0x1f})
	f.Add([]byte{0x20, 0x3f, 0xe1, 0x1f, 0x40, 1, 'a', 0x81, 0x1f}, []byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		c := NewServer(Config{HeadBytes: 1 << 20, Fields: 1 << 20}, &Pool{}, &recorder{})
		dec := hpack.NewDecoder(4096, nil)
		for _, p := range [][]byte{one, two} {
			c.decode(p)
			want, err := dec.DecodeFull(p)
			if c.err != nil {
				return // the other may take what is out of its place
			}
			if err != nil && strings.Contains(err.Error(), "beginning of a header block") {
				return // there may be two (RFC 7541 section 4.2)
			}
			if err != nil {
				t.Fatalf("%x: decoded as %v, but %v", p, c.pool.fields, err)
			}
			for i := range want {
				want[i].Sensitive = false
			}
			if diff := cmp.Diff(want, append([]Field(nil), c.pool.fields...)); diff != "" {
				t.Fatalf("%x: %s", p, diff)
			}
		}
	})
}

// TestLongStringsThatComeAgain are the same string, and only then.
func TestLongStringsThatComeAgain(t *testing.T) {
	t.Parallel()
	c := NewServer(Config{}, &Pool{}, &recorder{})
	plain := func(s string) []byte { return append(encodeInt(nil, 0, 7, len(s)), s...) }
	coded := func(s string) []byte {
		return hpack.AppendHuffmanString(encodeInt(nil, 0x80, 7, int(hpack.HuffmanEncodeLength(s))), s)
	}
	one, other := strings.Repeat("a", 200), strings.Repeat("a", 199)+"b"
	last := ""
	for i, p := range [][]byte{coded(one), coded(one), plain(one), plain(one), plain(string(coded(one)[2:])), coded(other), coded(one)} {
		want := []string{one, one, one, one, string(coded(one)[2:]), other, one}[i]
		got, rest := c.decodeString(p, true)
		if c.err != nil || len(rest) > 0 || got != want {
			t.Errorf("%d: %q", i, got)
		}
		if same := unsafe.StringData(got) == unsafe.StringData(last); same != (i == 1 || i == 3) {
			t.Errorf("%d: the same string: %v", i, same)
		}
		last = got
	}
	c.long = nil
	c.decodeNext(append([]byte{0x40, 1, 'n'}, plain(one)...))
	if c.err != nil || c.long != nil {
		t.Errorf("of what is in the table, %q is held once more", one)
	}
}

// TestHuffman has each byte, and many of them together, be read as they were coded, and nothing that is coded otherwise.
func TestHuffman(t *testing.T) {
	t.Parallel()
	var all []byte
	for i := range 256 {
		all = append(all, byte(i), byte(255-i), 'a')
		for n := range 9 {
			in := bytes.Repeat([]byte{byte(i)}, n)
			if got, ok := huffmanDecode(nil, hpack.AppendHuffmanString(nil, string(in))); !ok || !bytes.Equal(got, in) {
				t.Fatalf("%d times %d: got %v, %v", n, i, got, ok)
			}
		}
	}
	if got, ok := huffmanDecode(nil, hpack.AppendHuffmanString(nil, string(all))); !ok || !bytes.Equal(got, all) {
		t.Error("all bytes come back as others")
	}
	for name, p := range map[string][]byte{
		"the end of a string is coded": {0xff, 0xff, 0xff, 0xff},
		"padding of a byte":            {0x1f, 0xff},
		"padding of zeros":             {0x18},
		"half a code":                  {0xff, 0xfe},
	} {
		if got, ok := huffmanDecode(nil, p); ok {
			t.Errorf("%s: read as %q", name, got)
		}
	}
}

// TestDecoderRefuses what RFC 7541 has no meaning for.
func TestDecoderRefuses(t *testing.T) {
	t.Parallel()
	for name, p := range map[string][]byte{
		"index 0 (section 6.1)":                        {0x80},
		"an index beyond the tables (section 2.3.3)":   {0xbe},
		"a name beyond the tables":                     {0x7e, 1, 'a'},
		"an integer without an end (section 5.1)":      {0xff, 0xff},
		"an integer that is too large":                 {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00},
		"a string beyond the block":                    {0x40, 5, 'a'},
		"a literal without a value":                    {0x40, 1, 'a'},
		"a table larger than was agreed (section 6.3)": {0x3f, 0xe2, 0x1f},
		"a table's size behind a field (section 4.2)":  {0x82, 0x20},
	} {
		c := NewServer(Config{}, &Pool{}, &recorder{})
		if c.decode(p); c.err != errCompression {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// TestTableForgetsTheOldest goes on with a table of which entries have gone, however many of them there is still room for.
func TestTableForgetsTheOldest(t *testing.T) {
	t.Parallel()
	var block bytes.Buffer
	enc, c := hpack.NewEncoder(&block), NewServer(Config{HeadBytes: 1 << 20, Fields: 1 << 20}, &Pool{}, &recorder{})
	for i := range 2000 {
		block.Reset()
		if i%300 == 299 {
			enc.SetMaxDynamicTableSize(uint32(i % 4096))
		}
		want := list("a: "+strings.Repeat("b", i%70), "c: "+itoa(i%7), "d: "+itoa(i), "e: "+strings.Repeat("f", i%5*1000))
		for _, f := range want {
			_ = enc.WriteField(f)
		}
		if c.decode(block.Bytes()); c.err != nil {
			t.Fatal(i, c.err)
		}
		if diff := cmp.Diff(want, c.pool.fields); diff != "" {
			t.Fatalf("%d: %s", i, diff)
		}
	}
}

func BenchmarkHuffman(b *testing.B) {
	token := strings.Repeat("eyJhbGciOiJSUzI1NiIsImtpZCI6ImExIn0", 20)
	coded := hpack.AppendHuffmanString(nil, token)
	b.SetBytes(int64(len(token)))
	for scratch := []byte(nil); b.Loop(); {
		scratch, _ = huffmanDecode(scratch[:0], coded)
	}
}
