package conformance

import (
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// untilPing reads until the other side has answered a PING, and so has taken all that was sent before.
func untilPing(f *h2.Framer) {
	_ = f.WritePing(false, [8]byte{})
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if ping, ok := frame.(*h2.PingFrame); ok && ping.IsAck() {
			return
		}
	}
}

// untilEnd reads until the other side ends the connection.
func untilEnd(f *h2.Framer) {
	for {
		if _, err := f.ReadFrame(); err != nil {
			return
		}
	}
}

// An answer of HTTP/2 that has come as a whole reaches the client as a whole, whatever becomes of its stream and its connection while the client
// takes it. A server that has answered before it has read all of the request resets the stream (RFC 9113 section 8.1).
func TestAnswersOfHTTP2ThatAreWholeArriveAsAWhole(t *testing.T) {
	t.Parallel()
	text := pattern(40_000)
	for name, ends := range map[string]func(c *wire, f *h2.Framer, stream uint32){
		"the stream is reset":             func(_ *wire, f *h2.Framer, s uint32) { _ = f.WriteRSTStream(s, h2.ErrCodeNo); untilPing(f) },
		"the stream is reset by an error": func(_ *wire, f *h2.Framer, s uint32) { _ = f.WriteRSTStream(s, h2.ErrCodeInternal); untilPing(f) },
		"the app breaks the stream": func(_ *wire, f *h2.Framer, s uint32) {
			_ = f.WriteRawFrame(h2.FrameWindowUpdate, 0, s, make([]byte, 4))
			untilPing(f)
		},
		"the app goes away":   func(_ *wire, f *h2.Framer, _ uint32) { _ = f.WriteGoAway(0, h2.ErrCodeNo, nil); untilPing(f) },
		"the connection ends": func(c *wire, f *h2.Framer, _ uint32) { _ = c.CloseWrite(); untilEnd(f) },
		"the app breaks the connection": func(_ *wire, f *h2.Framer, _ uint32) {
			_ = f.WriteRawFrame(h2.FrameWindowUpdate, 0, 0, make([]byte, 4))
			untilEnd(f)
		},
		"the app breaks a field block": func(_ *wire, f *h2.Framer, _ uint32) { _ = f.WriteContinuation(1, true, nil); untilEnd(f) },
		"the stream and the connection go": func(c *wire, f *h2.Framer, s uint32) {
			_ = f.WriteRSTStream(s, h2.ErrCodeNo)
			_ = c.CloseWrite()
			untilEnd(f)
		},
	} {
		for of, whole := range map[string]bool{"a whole request": true, "the beginning of one": false} {
			for held, n := range map[string]int{"much": len(text), "only the end": 18_000} {
				overH2C(t, name+"/"+of+"/"+held, func(t testing.TB) {
					over := make(chan struct{})
					addr := guard(t, h2cApp(t, func(c *wire, f *h2.Framer, s uint32) {
						answers(f, s, false, ":status", "200")
						for rest := text[:n]; rest != ""; rest = rest[min(len(rest), 16<<10):] {
							_ = f.WriteData(s, false, []byte(rest[:min(len(rest), 16<<10)]))
						}
						answers(f, s, true, "grpc-status", "0")
						ends(c, f, s)
						close(over)
						c.rest()
					}))
					c, f := asks(t, addr, "POST", whole, h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1000})
					c.wait(over)
					_ = f.WriteWindowUpdate(1, 1<<20)
					f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
					for got := ""; ; {
						frame, err := f.ReadFrame()
						if err != nil {
							t.Fatalf("after %d bytes: %v", len(got), err)
						}
						switch frame := frame.(type) {
						case *h2.DataFrame:
							got += string(frame.Data())
						case *h2.RSTStreamFrame:
							t.Fatalf("after %d bytes reset by %s", len(got), frame.ErrCode)
						case *h2.MetaHeadersFrame:
							if !frame.StreamEnded() {
								continue
							}
							if got != text[:n] || frame.Fields[0].Name != "grpc-status" {
								t.Errorf("got %d bytes, and %v", len(got), frame.Fields)
							}
							return
						}
					}
				})
			}
		}
	}
}
