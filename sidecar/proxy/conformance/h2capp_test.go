package conformance

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// Apps that are spoken to in HTTP/2 (--app-protocol h2c) may do all that is wrong in that version: nothing of it is ever taken
// for an answer.

// h2cApp is an app that reads requests in HTTP/2 and has a script answer each.
func h2cApp(t testing.TB, script func(c *wire, f *h2.Framer, stream uint32)) (url string) {
	t.Helper()
	return rawApp(t, func(c *wire, _ int) {
		c.bytes(len(h2.ClientPreface))
		f := h2.NewFramer(c, c.in)
		if f.WriteSettings() != nil {
			return
		}
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if head, ok := frame.(*h2.HeadersFrame); ok {
				script(c, f, head.StreamID)
			}
		}
	})
}

// answers writes a head.
func answers(f *h2.Framer, stream uint32, end bool, fields ...string) {
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	rest := []byte(block.String())
	piece := func() (p []byte, last bool) {
		p, rest = rest[:min(len(rest), 16<<10)], rest[min(len(rest), 16<<10):]
		return p, len(rest) == 0
	}
	p, last := piece()
	_ = f.WriteHeaders(h2.HeadersFrameParam{StreamID: stream, BlockFragment: p, EndStream: end, EndHeaders: last})
	for !last {
		p, last = piece()
		_ = f.WriteContinuation(stream, last, p)
	}
}

// A server of gRPC resets a call by CANCEL when its deadline has passed. The client gets that, and says that its own has.
func TestCallsThatTheAppCancels(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]string{"application/grpc": "CANCEL", "application/json": "502 Bad Gateway"} {
		overH2C(t, contentType, func(t testing.TB) {
			addr := guard(t, h2cApp(t, func(_ *wire, f *h2.Framer, s uint32) { _ = f.WriteRSTStream(s, h2.ErrCodeCancel) }))
			res, err := client(t, http2).Do(request(t, "POST", "http://"+addr+"/open/a", strings.NewReader("abc"), "Content-Type", contentType))
			got := fmt.Sprint(err)
			if err == nil {
				got = res.Status
				_ = res.Body.Close()
			}
			if !strings.Contains(got, want) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestAppsOfHTTP2ThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script func(c *wire, f *h2.Framer, stream uint32)
		want   string // one of these
	}{
		"closes":                {func(c *wire, _ *h2.Framer, _ uint32) { _ = c.Close() }, "502 UpstreamUnavailable"},
		"resets":                {func(c *wire, _ *h2.Framer, _ uint32) { _, _ = c.SetLinger(0), c.Close() }, "502 UpstreamUnavailable"},
		"resets the stream":     {func(c *wire, f *h2.Framer, s uint32) { _ = f.WriteRSTStream(s, h2.ErrCodeInternal) }, "502 UpstreamUnavailable UpstreamMalformed"},
		"goes away":             {func(c *wire, f *h2.Framer, _ uint32) { _, _ = f.WriteGoAway(0, h2.ErrCodeInternal, nil), c.Close() }, "502 UpstreamUnavailable UpstreamMalformed"},
		"no status":             {func(c *wire, f *h2.Framer, s uint32) { answers(f, s, true, "x-a", "b") }, "502 UpstreamMalformed"},
		"a status of no digits": {func(c *wire, f *h2.Framer, s uint32) { answers(f, s, true, ":status", "ok") }, "502 UpstreamMalformed"},
		"a name in capitals":    {func(c *wire, f *h2.Framer, s uint32) { answers(f, s, true, ":status", "200", "X-A", "b") }, "502 UpstreamMalformed"},
		"a line end in a value": {func(c *wire, f *h2.Framer, s uint32) {
			answers(f, s, true, ":status", "200", "x-a", "b\r\nc: d")
		}, "502 UpstreamMalformed"},
		"data before the head": {func(c *wire, f *h2.Framer, s uint32) { _ = f.WriteData(s, true, []byte("x")) }, "502 UpstreamMalformed"},
		"half a head": {func(c *wire, f *h2.Framer, s uint32) {
			_ = f.WriteHeaders(h2.HeadersFrameParam{StreamID: s, BlockFragment: []byte{0x88}})
			_ = c.Close()
		}, "502 UpstreamUnavailable UpstreamMalformed"},
		"an interim answer alone": {func(c *wire, f *h2.Framer, s uint32) { answers(f, s, false, ":status", "103"); _ = c.Close() }, "502 UpstreamUnavailable UpstreamMalformed"},
		"takes too long":          {func(*wire, *h2.Framer, uint32) {}, "504 UpstreamTimeout"},
	} {
		overH2C(t, name, func(t testing.TB) {
			limits := func(c *proxy.Config) {
				if strings.HasPrefix(tt.want, "504") {
					c.Limits.Response = 100 * time.Millisecond
				}
			}
			addr, c := guard(t, h2cApp(t, tt.script), limits), client(t, http2)
			for _, body := range []io.Reader{nil, strings.NewReader("abc"), unsized("abc")} {
				method := "GET"
				if body != nil {
					method = "POST"
				}
				res, text := ask(t, c, request(t, method, "http://"+addr+"/open/a", body))
				_, reason, _ := strings.Cut(text, `"reason":"`)
				reason, _, _ = strings.Cut(reason, `"`)
				if !strings.HasPrefix(tt.want, res.Status[:3]) || reason == "" || !strings.Contains(tt.want, reason) {
					t.Errorf("%s: got %s %q, want %s", method, res.Status, text, tt.want)
				}
			}
		})
	}
	for name, url := range map[string]func(testing.TB) string{
		"does not listen": nowhere,
		"speaks HTTP/1.1": func(t testing.TB) string { return says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") },
		"speaks something else": func(t testing.TB) string {
			return rawApp(t, func(c *wire, _ int) { c.send("SSH-2.0-OpenSSH\r\n") })
		},
	} {
		overH2C(t, name, func(t testing.TB) {
			res, text := ask(t, client(t, http2), request(t, "POST", "http://"+guard(t, url(t))+"/open/a", unsized("abc")))
			if res.StatusCode != 502 {
				t.Errorf("got %s %q", res.Status, text)
			}
		})
	}
}

// An answer of HTTP/2 that breaks off is never a whole one to the client.
func TestAnswersOfHTTP2ThatBreakOff(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(c *wire, f *h2.Framer, stream uint32){
		"by the connection's end": func(c *wire, f *h2.Framer, s uint32) {
			answers(f, s, false, ":status", "200")
			_ = f.WriteData(s, false, []byte("half"))
			_ = c.Close()
		},
		"by a reset of the stream": func(c *wire, f *h2.Framer, s uint32) {
			answers(f, s, false, ":status", "200")
			_ = f.WriteData(s, false, []byte("half"))
			_ = f.WriteRSTStream(s, h2.ErrCodeInternal)
		},
		"before its length": func(c *wire, f *h2.Framer, s uint32) {
			answers(f, s, false, ":status", "200", "content-length", "10")
			_ = f.WriteData(s, true, []byte("half"))
		},
	} {
		overH2C(t, name, func(t testing.TB) {
			res, err := client(t, http2).Do(request(t, "GET", "http://"+guard(t, h2cApp(t, script))+"/open/a", nil))
			if err != nil {
				return
			}
			defer res.Body.Close()
			if b, err := io.ReadAll(res.Body); err == nil && res.StatusCode == 200 {
				t.Errorf("reads as a whole answer: %q", b)
			}
		})
	}
}

// TestEarlyAnswersArrive for apps that are spoken to in HTTP/2. They end the stream alone (RFC 9113 section 8.1), or all.
func TestEarlyAnswersOfHTTP2Arrive(t *testing.T) {
	t.Parallel()
	script := func(end func(c *wire, f *h2.Framer, stream uint32)) func(testing.TB) string {
		return func(t testing.TB) string {
			return h2cApp(t, func(c *wire, f *h2.Framer, s uint32) {
				answers(f, s, false, ":status", "413", "content-length", "3")
				_ = f.WriteData(s, true, []byte("big"))
				end(c, f, s)
			})
		}
	}
	for name, url := range map[string]func(testing.TB) string{
		"an app of net/http": func(t testing.TB) string {
			return app(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				_, _ = io.WriteString(w, "big")
			})
		},
		"an app that resets the stream": script(func(c *wire, f *h2.Framer, s uint32) {
			_ = f.WriteRSTStream(s, h2.ErrCodeNo)
		}),
		"an app that goes away": script(func(c *wire, f *h2.Framer, s uint32) {
			_ = f.WriteRSTStream(s, h2.ErrCodeNo)
			_ = f.WriteGoAway(s, h2.ErrCodeNo, nil)
		}),
	} {
		overH2C(t, name, func(t testing.TB) {
			addr, c := guard(t, url(t)), client(t, http2)
			for _, n := range sizes {
				for _, chunked := range []bool{false, true} {
					for range 20 {
						if strings.HasSuffix(name, "goes away") { // a next request may be on its way already
							addr, c = guard(t, url(t)), client(t, http2)
						}
						var body io.Reader = strings.NewReader(strings.Repeat("x", n))
						if chunked {
							body = io.MultiReader(body)
						}
						if res, text := ask(t, c, request(t, "POST", "http://"+addr+"/open/a", body)); res.StatusCode != 413 || text != "big" {
							t.Errorf("%d bytes, chunked %v: got %s %q", n, chunked, res.Status, text)
						}
					}
				}
			}
		})
	}
}
