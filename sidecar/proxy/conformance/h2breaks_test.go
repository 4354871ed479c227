package conformance

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	h2 "golang.org/x/net/http2"
)

// On a connection to the app that has served a call, an answer that breaks off ends at once, and no other call suffers for it.
func TestAnswersOfHTTP2ThatBreakOffBesideOthers(t *testing.T) {
	t.Parallel()
	whole := func(f *h2.Framer, s uint32) {
		answers(f, s, false, ":status", "200")
		_ = f.WriteData(s, true, []byte("whole"))
	}
	for name, tt := range map[string]struct {
		breaks func(c *wire, f *h2.Framer, begun, other uint32)
		others bool // the others' answers go on
	}{
		"the stream is reset": {func(_ *wire, f *h2.Framer, begun, other uint32) {
			_ = f.WriteRSTStream(begun, h2.ErrCodeInternal)
			_ = f.WriteData(other, true, []byte("whole"))
		}, true},
		"the answer is malformed": {func(_ *wire, f *h2.Framer, begun, other uint32) {
			answers(f, begun, false, "Not-A", "trailer")
			_ = f.WriteData(other, true, []byte("whole"))
		}, true},
		"the connection ends":      {func(c *wire, _ *h2.Framer, _, _ uint32) { _ = c.Close() }, false},
		"the connection is reset":  {func(c *wire, _ *h2.Framer, _, _ uint32) { _, _ = c.SetLinger(0), c.Close() }, false},
		"the app breaks the rules": {func(_ *wire, f *h2.Framer, _, _ uint32) { _ = f.WriteRawFrame(h2.FrameData, 0, 0, []byte("whole")) }, false},
	} {
		overH2C(t, name, func(t testing.TB) {
			var broken atomic.Bool
			addr := guard(t, h2cApp(t, func(c *wire, f *h2.Framer, s uint32) {
				switch {
				case s < 5 && !broken.Load(): // begin to answer
					answers(f, s, false, ":status", "200")
				case s == 7:
					broken.Store(true)
					tt.breaks(c, f, 1, 3)
					whole(f, s)
				default:
					whole(f, s)
				}
			}))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c := client(t, http2)
			get := func() *http.Response {
				res, err := c.Do(request(t, "GET", "http://"+addr+"/open/a", nil).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = res.Body.Close() })
				return res
			}
			begun, other := get(), get()
			if b, err := io.ReadAll(get().Body); string(b) != "whole" || err != nil {
				t.Fatalf("the answer that has come as a whole is %q, %v", b, err)
			}
			last := get()
			if _, err := io.ReadAll(begun.Body); err == nil || ctx.Err() != nil {
				t.Errorf("the answer that broke off ended with %v", err)
			}
			if b, err := io.ReadAll(other.Body); (string(b) == "whole" && err == nil) != tt.others || ctx.Err() != nil {
				t.Errorf("the answer beside it is %q, %v", b, err)
			}
			if b, err := io.ReadAll(last.Body); last.StatusCode != 200 || string(b) != "whole" || err != nil {
				t.Errorf("the last answer is %s %q, %v", last.Status, b, err)
			}
		})
	}
}

// A request that the app has looked at and reset, or answered by what is no answer, is not sent again: the connection is alive.
func TestRequestsThatAnAppOfHTTP2ResetsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func(f *h2.Framer, s uint32){
		"INTERNAL_ERROR":    func(f *h2.Framer, s uint32) { _ = f.WriteRSTStream(s, h2.ErrCodeInternal) },
		"ENHANCE_YOUR_CALM": func(f *h2.Framer, s uint32) { _ = f.WriteRSTStream(s, h2.ErrCodeEnhanceYourCalm) },
		"no status":         func(f *h2.Framer, s uint32) { answers(f, s, true, "x-a", "b") },
	} {
		overH2C(t, name, func(t testing.TB) {
			var times atomic.Int32
			addr := guard(t, h2cApp(t, func(_ *wire, f *h2.Framer, s uint32) {
				if times.Add(1) == 1 {
					answers(f, s, true, ":status", "204")
					return
				}
				ends(f, s)
			}))
			c := client(t, http2)
			for i, want := range []int{204, 502} {
				if res, text := ask(t, c, request(t, "GET", "http://"+addr+"/open/a", nil)); res.StatusCode != want {
					t.Errorf("request %d: %s %q, want %d", i, res.Status, text, want)
				}
			}
			if n := times.Load(); n != 2 {
				t.Errorf("the app got %d requests", n)
			}
		})
	}
}
