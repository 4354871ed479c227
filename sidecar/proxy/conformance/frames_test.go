package conformance

import (
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frameStatus sends a GET in HTTP/2 with one more field, as no client would let it through, and returns the status of
// the answer or the error that took its place.
func frameStatus(t testing.TB, addr, name, value string) string {
	t.Helper()
	c := dial(t, addr)
	c.send(h2.ClientPreface)
	fr := h2.NewFramer(c, c.in)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/open/a"}, {name, value}} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = fr.WriteSettings()
	_ = fr.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true})
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("neither an answer nor an error of the stream: %v", err)
		}
		switch f := f.(type) {
		case *h2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *h2.RSTStreamFrame:
			return f.ErrCode.String()
		case *h2.GoAwayFrame:
			return f.ErrCode.String()
		}
	}
}
