package conformance

import (
	"slices"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What a client or an app of HTTP/2 sends so that it gets into nobody's table goes on like that (RFC 7541 section 6.2.3), in heads and in trailers.
func TestFieldsThatMustNotBeIndexedStaySo(t *testing.T) {
	t.Parallel()
	overH2C(t, "both ways", func(t testing.TB) {
		secret := hpack.HeaderField{Name: "x-key", Value: "secret", Sensitive: true}
		send := func(f *h2.Framer, end bool, fields ...hpack.HeaderField) {
			var block strings.Builder
			enc := hpack.NewEncoder(&block)
			for _, field := range append(fields, secret) {
				_ = enc.WriteField(field)
			}
			_ = f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: end})
		}
		// kept reads a head and trailers, and reports in how many of them the field is as it was sent.
		kept := func(f *h2.Framer) (n int) {
			f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return -1
				}
				if head, ok := frame.(*h2.MetaHeadersFrame); ok {
					if slices.Contains(head.Fields, secret) {
						n++
					}
					if head.StreamEnded() {
						return n
					}
				}
			}
		}
		app := make(chan int, 1)
		addr := guard(t, rawApp(t, func(c *wire, _ int) {
			c.bytes(len(h2.ClientPreface))
			f := h2.NewFramer(c, c.in)
			_ = f.WriteSettings()
			app <- kept(f)
			send(f, false, hpack.HeaderField{Name: ":status", Value: "200"})
			send(f, true)
			c.rest()
		}))
		c := dial(t, addr)
		c.send(h2.ClientPreface)
		f := h2.NewFramer(c, c.in)
		_ = f.WriteSettings()
		send(f, false, hpack.HeaderField{Name: ":method", Value: "POST"}, hpack.HeaderField{Name: ":scheme", Value: "http"},
			hpack.HeaderField{Name: ":authority", Value: "a"}, hpack.HeaderField{Name: ":path", Value: "/open/a"})
		send(f, true)
		if n := receive(t, app); n != 2 {
			t.Errorf("the app gets it in %d of a head and trailers", n)
		}
		if n := kept(f); n != 2 {
			t.Errorf("the client gets it in %d of a head and trailers", n)
		}
	})
}
