package conformance

import (
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// RFC 9110 section 9.3.2: an answer to HEAD has no content, not even one that says what is wrong with the head.
func TestRefusalsOfHEADHaveNoContent(t *testing.T) {
	t.Parallel()
	for what, fields := range map[string][][2]string{
		"no token":              {{":path", "/orders/1"}},
		"two tokens":            {{":path", "/open/a"}, {"authorization", "Bearer a"}, {"authorization", "Bearer b"}},
		"a target that is long": {{":path", "/open/" + strings.Repeat("a", 33<<10)}},
	} {
		run(t, what, func(t testing.TB) {
			c := dial(t, guard(t, says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")))
			c.send(h2.ClientPreface)
			f := h2.NewFramer(c, c.in)
			f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			var block strings.Builder
			enc := hpack.NewEncoder(&block)
			for _, field := range append([][2]string{{":method", "HEAD"}, {":scheme", "http"}, {":authority", "a"}}, fields...) {
				_ = enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
			}
			_ = f.WriteSettings()
			text := block.String()
			first := text[:min(len(text), 16<<10)]
			_ = f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(first), EndStream: true, EndHeaders: len(first) == len(text)})
			for text = text[len(first):]; len(text) > 0; {
				next := text[:min(len(text), 16<<10)]
				text = text[len(next):]
				_ = f.WriteContinuation(1, text == "", []byte(next))
			}
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				if head, ok := frame.(*h2.MetaHeadersFrame); ok {
					if s := head.PseudoValue("status"); s[0] != '4' || !head.StreamEnded() {
						t.Errorf("answered %s, ends %v", s, head.StreamEnded())
					}
					return
				}
			}
		})
	}
}
