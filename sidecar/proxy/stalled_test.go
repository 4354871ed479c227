package proxy

import (
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A body that nobody takes yet, as while keys are waited for, holds up no other stream of its connection, though it is as large as the
// connection's window.
func TestHTTP2ABodyThatWaitsHoldsUpNoOther(t *testing.T) { //nolint:paralleltest // what is held is the process's
	g, asked := waits(t)
	p := protect(t, echo(t).URL, func(c *Config) { c.Gate = g })
	w := preface(t, p.addr)
	_ = w.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: w.fields("POST", "/orders/a", "authorization", "Bearer "+unknown()), EndHeaders: true,
	})
	until(t, "the keys are asked for", patience, func() bool { return asked.Load() > 0 })
	for range wideBytes / (16 << 10) {
		_ = w.WriteData(1, false, make([]byte, 16<<10))
	}
	window := 0
	for {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *http2.WindowUpdateFrame:
			if window += int(f.Increment); f.StreamID != 0 {
				t.Fatalf("the stream that waits may send %d bytes more", f.Increment)
			}
			if window == int(f.Increment) {
				_ = w.open(3, "/docs/a")
				_ = w.WriteData(3, true, make([]byte, 1000))
			}
		case *http2.HeadersFrame:
			if f.StreamID != 3 {
				t.Fatalf("stream %d is answered first", f.StreamID)
			}
			return
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			t.Fatal(f)
		}
	}
}

// A HEAD whose head is too large is answered without content.
func TestHTTP2HeadsOfHEADThatAreTooLarge(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	g := protect(t, url, func(c *Config) { c.Limits = Limits{HeadBytes: 2048, Fields: 20, Drain: time.Second} })
	for _, n := range []int{21, 200} {
		w := preface(t, g.addr)
		var more []string
		for range n {
			more = append(more, "x", "y")
		}
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("HEAD", "/docs/a", more...), EndHeaders: true, EndStream: true})
		for {
			f, err := w.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if h, ok := f.(*http2.HeadersFrame); ok {
				if !h.StreamEnded() {
					t.Errorf("%d fields: content follows", n)
				}
				break
			}
		}
	}
}
