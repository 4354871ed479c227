//go:build linux && !386 && !s390x && !loop_poll

package proxy

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// Many answers may have to wait for a client that takes them slowly, but takes them: none of them ends for that.
func TestHTTP2AnswersThatWaitForEachOther(t *testing.T) {
	t.Parallel()
	const (
		answers = 40
		limit   = 800 * time.Millisecond
		pieces  = 8 // of a frame each, in limit: each answer has its turn every fifth limit
	)
	var ended atomic.Int32
	a := app(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				ended.Add(1)
				return
			}
		}
	})
	g := protect(t, a.URL, func(c *Config) { c.Limits = Limits{Write: limit, Drain: time.Second} })
	w := preface(t, g.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	_ = w.WriteWindowUpdate(0, 1<<30)
	for i := range answers {
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: w.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true}) //nolint:gosec // few
	}
	tick := time.NewTicker(limit / pieces)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < 6*limit; <-tick.C {
		for took := 0; took < 1<<14; {
			f, err := w.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := f.(*http2.DataFrame); ok {
				took += len(data.Data())
			}
		}
	}
	if n := ended.Load(); n > 0 {
		t.Errorf("%d answers have ended", n)
	}
}
