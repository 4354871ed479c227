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
	status, _ := frames(t, addr, [2]string{name, value})
	return status
}

// frames sends a GET in HTTP/2 with more fields, and returns the status of the answer or the error that took its place,
// and how many interim answers came before it, up to a bound.
func frames(t testing.TB, addr string, fields ...[2]string) (status string, interim int) {
	t.Helper()
	c := dial(t, addr)
	c.send(h2.ClientPreface)
	fr := h2.NewFramer(c, c.in)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	for _, f := range append([][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/open/a"}}, fields...) {
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
			status = f.PseudoValue("status")
			if !strings.HasPrefix(status, "1") || interim == manyInterim {
				return status, interim
			}
			interim++
		case *h2.RSTStreamFrame:
			return f.ErrCode.String(), interim
		case *h2.GoAwayFrame:
			return f.ErrCode.String(), interim
		}
	}
}

// manyInterim are more interim answers than any app has a use for.
const manyInterim = 100_000
