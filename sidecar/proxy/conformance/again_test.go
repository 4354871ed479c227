package conformance

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// refusals are how an app of HTTP/2 says that it has not looked at a request (RFC 9113 sections 6.8 and 8.7).
var refusals = map[string]func(f *h2.Framer, stream uint32) error{
	"REFUSED_STREAM": func(f *h2.Framer, s uint32) error { return f.WriteRSTStream(s, h2.ErrCodeRefusedStream) },
	"GOAWAY":         func(f *h2.Framer, s uint32) error { return f.WriteGoAway(s-1, h2.ErrCodeNo, nil) },
}

// content is what has come of a request.
type content struct {
	fields  map[string]string // of its head
	text    string
	trailer string // the value of x-sum
	ended   bool
}

// contents reads requests, and tells of each whenever some of it has come.
func contents(c *wire, f *h2.Framer, tell func(stream uint32, got *content)) {
	c.bytes(len(h2.ClientPreface))
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	all := map[uint32]*content{}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		id := frame.Header().StreamID
		got := all[id]
		switch frame := frame.(type) {
		case *h2.MetaHeadersFrame:
			if got == nil {
				got = &content{fields: map[string]string{}}
				all[id] = got
			}
			for _, field := range frame.Fields {
				if got.fields[field.Name] = field.Value; field.Name == "x-sum" {
					got.trailer = field.Value
				}
			}
			got.ended = frame.StreamEnded()
		case *h2.DataFrame:
			got.text += string(frame.Data())
			got.ended = frame.StreamEnded()
		default:
			continue
		}
		n := frame.Header().Length
		if tell(id, got); n > 0 && frame.Header().Type == h2.FrameData {
			_ = f.WriteWindowUpdate(0, n)
		}
	}
}

// answered reads the answers to requests, up to the ends of n of them.
func answered(t testing.TB, f *h2.Framer, n int) map[uint32]*content {
	t.Helper()
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	all := map[uint32]*content{}
	for n > 0 {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("%d answers are missing: %v", n, err)
		}
		id, ended := frame.Header().StreamID, false
		switch frame := frame.(type) {
		case *h2.MetaHeadersFrame:
			if all[id] == nil {
				all[id] = &content{fields: map[string]string{}}
			}
			for _, field := range frame.Fields {
				all[id].fields[field.Name] = field.Value
			}
			ended = frame.StreamEnded()
		case *h2.DataFrame:
			all[id].text += string(frame.Data())
			ended = frame.StreamEnded()
		case *h2.RSTStreamFrame:
			t.Fatalf("stream %d is reset by %s", id, frame.ErrCode)
		}
		if ended {
			n--
		}
	}
	return all
}

// echoes answers a request by what came of it.
func echoes(f *h2.Framer, stream uint32, got *content) {
	answers(f, stream, false, ":status", "200", "x-sum", got.trailer, "x-length", got.fields["content-length"])
	for text := got.text; text != ""; text = text[min(len(text), 16<<10):] {
		_ = f.WriteData(stream, false, []byte(text[:min(len(text), 16<<10)]))
	}
	_ = f.WriteData(stream, true, nil)
}

// A request that the app refuses without a look at it is sent again with its body, if that is small, whatever its method.
func TestBodiesThatAnAppOfHTTP2RefusesUnseenAreSentAgain(t *testing.T) {
	t.Parallel()
	frames := func(n ...int) (all []string) {
		for i, n := range n {
			all = append(all, strings.Repeat(string(rune('a'+i)), n))
		}
		return all
	}
	for way, refuse := range refusals {
		for name, tt := range map[string]struct {
			pieces []string
			length bool   // Content-Length says how much it is
			sum    string // a trailer
			half   bool   // the last piece is sent when the others have been sent again
		}{
			"whole":                {pieces: frames(3)},
			"with a length":        {pieces: frames(3), length: true},
			"in pieces":            {pieces: frames(1, 500, 5000)},
			"as large as is kept":  {pieces: frames(10_000, 6_384), length: true},
			"trailers":             {pieces: frames(3), sum: "7"},
			"trailers alone":       {sum: "7"},
			"half come":            {pieces: frames(3, 4), half: true},
			"half, with a length":  {pieces: frames(3, 4), length: true, half: true},
			"half, and trailers":   {pieces: frames(3, 4), sum: "7", half: true},
			"half, and much more":  {pieces: frames(3, 16_000, 16_000, 16_000), half: true},
			"nothing come of some": {pieces: frames(0, 4), half: true},
		} {
			overH2C(t, name+"/"+way, func(t testing.TB) {
				early := strings.Join(tt.pieces, "")
				if tt.half {
					early = tt.pieces[0]
				}
				var refused atomic.Bool
				again := make(chan struct{})
				addr := guard(t, rawApp(t, func(c *wire, _ int) {
					f := h2.NewFramer(c, c.in)
					_ = f.WriteSettings()
					var first uint32 // the stream that was refused
					contents(c, f, func(s uint32, got *content) {
						switch {
						case s == first:
						case got.text == early && (tt.half || got.ended) && refused.CompareAndSwap(false, true):
							first = s
							_ = refuse(f, s)
						case !refused.Load():
						case tt.half && got.text == early:
							close(again)
						case got.ended:
							echoes(f, s, got)
						}
					})
				}))
				c, f := begins(t, addr)
				text := strings.Join(tt.pieces, "")
				head := []string{":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/open/a"}
				if tt.length {
					head = append(head, "content-length", fmt.Sprint(len(text)))
				}
				answers(f, 1, false, head...)
				for i, piece := range tt.pieces {
					if tt.half && i == 1 {
						c.wait(again)
					}
					_ = f.WriteData(1, i == len(tt.pieces)-1 && tt.sum == "", []byte(piece))
				}
				if tt.sum != "" {
					answers(f, 1, true, "x-sum", tt.sum)
				}
				got := answered(t, f, 1)[1]
				if got.fields[":status"] != "200" || got.text != text || got.fields["x-sum"] != tt.sum {
					t.Errorf("answered %v and %d bytes, want %d and trailer %q", got.fields, len(got.text), len(text), tt.sum)
				}
				if want := fmt.Sprint(len(text)); tt.length && got.fields["x-length"] != want {
					t.Errorf("the app was told of %s bytes, want %s", got.fields["x-length"], want)
				}
			})
		}
	}
}

// begins is a client of HTTP/2 that has asked for nothing yet.
func begins(t testing.TB, addr string) (*wire, *h2.Framer) {
	t.Helper()
	c := dial(t, addr)
	c.send(h2.ClientPreface)
	f := h2.NewFramer(c, c.in)
	_ = f.WriteSettings()
	return c, f
}

// What comes of a body while it waits to be sent again follows what had come before.
func TestBodiesThatGoOnWhileTheyWaitToBeSentAgain(t *testing.T) {
	t.Parallel()
	overH2C(t, "GOAWAY", func(t testing.TB) {
		asked, said := make(chan struct{}), make(chan struct{})
		addr := guard(t, rawApp(t, func(c *wire, n int) {
			f := h2.NewFramer(c, c.in)
			if n == 1 {
				_ = f.WriteSettings()
			}
			come := 0
			contents(c, f, func(s uint32, got *content) {
				switch {
				case n == 1 && got.text != "":
					if come++; come == 2 {
						_ = f.WriteGoAway(0, h2.ErrCodeNo, nil)
					}
				case n == 2 && got.text == "abc": // of one: the other waits to hear how many calls this connection may have
					close(asked)
					c.wait(said)
					_ = f.WriteSettings()
				case got.ended:
					echoes(f, s, got)
				}
			})
		}))
		c, f := begins(t, addr)
		for _, s := range []uint32{1, 3} {
			answers(f, s, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/open/a")
			_ = f.WriteData(s, false, []byte("abc"))
		}
		c.wait(asked)
		for _, s := range []uint32{1, 3} {
			_ = f.WriteData(s, false, []byte("defg"))
			answers(f, s, true, "x-sum", "7")
		}
		untilPing(f)
		close(said)
		for s, got := range answered(t, f, 2) {
			if got.text != "abcdefg" || got.fields["x-sum"] != "7" {
				t.Errorf("stream %d: answered %v %q", s, got.fields, got.text)
			}
		}
	})
}

// Nothing is sent again that the app may have looked at, or of which not all is there any more, and nothing more than once.
func TestBodiesThatAreNotSentAgain(t *testing.T) {
	t.Parallel()
	type ends func(f *h2.Framer, s uint32)
	resets := func(code h2.ErrCode) ends { return func(f *h2.Framer, s uint32) { _ = f.WriteRSTStream(s, code) } }
	for name, tt := range map[string]struct {
		size, sum int // of the body, and of a trailer
		app       ends
		want      int // how often the app gets it
	}{
		"another code":      {3, 0, resets(h2.ErrCodeInternal), 1},
		"NO_ERROR":          {3, 0, resets(h2.ErrCodeNo), 1},
		"ENHANCE_YOUR_CALM": {3, 0, resets(h2.ErrCodeEnhanceYourCalm), 1},
		"refused twice":     {3, 0, resets(h2.ErrCodeRefusedStream), 2},
		"a large body":      {16<<10 + 1, 0, resets(h2.ErrCodeRefusedStream), 1},
		"a large trailer":   {3, 16 << 10, resets(h2.ErrCodeRefusedStream), 1},
		"GOAWAY with a look": {3, 0, func(f *h2.Framer, s uint32) {
			_, _ = f.WriteGoAway(s, h2.ErrCodeNo, nil), f.WriteRSTStream(s, h2.ErrCodeInternal)
		}, 1},
		"an interim answer": {3, 0, func(f *h2.Framer, s uint32) {
			answers(f, s, false, ":status", "103")
			_ = f.WriteRSTStream(s, h2.ErrCodeRefusedStream)
		}, 1},
		"a 100 before GOAWAY": {3, 0, func(f *h2.Framer, s uint32) {
			answers(f, s, false, ":status", "100")
			_ = f.WriteGoAway(0, h2.ErrCodeNo, nil)
		}, 1},
	} {
		for of, contentType := range map[string]string{"JSON": "application/json", "gRPC": "application/grpc"} {
			overH2C(t, name+"/"+of, func(t testing.TB) {
				var times atomic.Int32
				addr := guard(t, rawApp(t, func(c *wire, _ int) {
					f := h2.NewFramer(c, c.in)
					_ = f.WriteSettings()
					contents(c, f, func(s uint32, got *content) {
						if got.ended {
							times.Add(1)
							tt.app(f, s)
						}
					})
				}))
				_, f := begins(t, addr)
				answers(f, 1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/open/a", "content-type", contentType)
				for left := tt.size; left > 0; left -= 16 << 10 {
					_ = f.WriteData(1, left <= 16<<10 && tt.sum == 0, []byte(pattern(min(left, 16<<10))))
				}
				if tt.sum > 0 {
					answers(f, 1, true, "x-sum", pattern(tt.sum))
				}
				got := answered(t, f, 1)[1]
				want := map[string]string{"JSON": "502 ", "gRPC": "200 14"}[of]
				if said := got.fields[":status"] + " " + got.fields["grpc-status"]; said != want || int(times.Load()) != tt.want {
					t.Errorf("answered %q, want %q; sent %d times, want %d", said, want, times.Load(), tt.want)
				}
			})
		}
	}
}

// An app that is reached by a name is connected to once more.
func TestBodiesThatAnAppByNameRefusesAreSentAgain(t *testing.T) {
	t.Parallel()
	overH2C(t, "GOAWAY", func(t testing.TB) {
		url := rawApp(t, func(c *wire, n int) {
			f := h2.NewFramer(c, c.in)
			_ = f.WriteSettings()
			contents(c, f, func(s uint32, got *content) {
				switch {
				case n == 1 && got.text == "abc":
					_ = f.WriteGoAway(0, h2.ErrCodeNo, nil)
				case got.ended:
					echoes(f, s, got)
				}
			})
		})
		addr := guard(t, strings.Replace(url, "127.0.0.1", "localhost", 1))
		_, f := begins(t, addr)
		answers(f, 1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/open/a")
		_ = f.WriteData(1, false, []byte("abc"))
		_ = f.WriteData(1, true, []byte("def"))
		if got := answered(t, f, 1)[1]; got.text != "abcdef" {
			t.Errorf("answered %v %q", got.fields, got.text)
		}
	})
}
