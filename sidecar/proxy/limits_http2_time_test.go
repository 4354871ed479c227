package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// ways are the ways of an HTTP/2 client's request to the app.
var ways = map[string]struct {
	app         AppProtocol
	contentType string
}{
	"over HTTP/1.1":        {AppAuto, "text/plain"},
	"over h2c":             {AppH2C, "text/plain"},
	"over h2c, as of gRPC": {AppAuto, "application/grpc"},
}

// An answer for which a client opens no window ends after --write-timeout, and only that.
func TestHTTP2LimitOfWindows(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			a := app(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					return
				}
				defer close(ended)
				for {
					if _, err := w.Write(make([]byte, 1<<16)); err != nil {
						return
					}
				}
			})
			g := protect(t, a.URL, func(c *Config) { c.AppProtocol, c.Limits = way.app, Limits{Write: short, Drain: time.Second} })
			w := preface(t, g.addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
			begin := func(id uint32, method string) {
				fields := w.fields(method, "/docs/a", "content-type", way.contentType)
				_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: fields, EndHeaders: true, EndStream: true})
			}
			begin(1, "GET")
			for _, want := range []string{"200", "INTERNAL_ERROR"} {
				if got := w.end(); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
			<-ended
			begin(3, "HEAD")
			for {
				f, err := w.ReadFrame()
				if err != nil {
					t.Fatalf("another request: %v", err)
				}
				if h, ok := f.(*http2.HeadersFrame); ok && h.StreamID == 3 {
					return
				}
			}
		})
	}
}

// A body has to come at --min-body-rate, whatever way it takes; a stream of messages has not.
func TestHTTP2LimitOfBodyRate(t *testing.T) {
	t.Parallel()
	url := app(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }).URL
	begin := func(app AppProtocol, contentType string) *wire2 {
		g := prepare(t, url, func(c *Config) {
			c.AppProtocol, c.Limits = app, Limits{ReadHead: short, BodyRate: 1000, Drain: time.Second}
		})
		w := hello(t, g.addr)
		g.run()
		w.ready(t)
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.fields("POST", "/docs/a", "content-type", contentType), EndHeaders: true})
		_ = w.WriteData(1, false, []byte("abc"))
		return w
	}
	stream := begin(AppAuto, "application/grpc")
	for _, app := range []AppProtocol{AppAuto, AppH2C} {
		if got := begin(app, "text/plain").end(); got != "408" {
			t.Errorf("%s: %s", app, got)
		}
		trickles := begin(app, "text/plain")
		go func() {
			for trickles.WriteData(1, false, []byte("d")) == nil {
				<-time.After(short / 4)
			}
		}()
		if got := trickles.end(); got != "408" {
			t.Errorf("%s, byte by byte: %s", app, got)
		}
		_ = trickles.conn.Close()
	}
	_ = stream.WriteData(1, true, nil)
	if got := stream.end(); got != "200" {
		t.Errorf("a stream: %s", got)
	}
}

// An app of HTTP/2 that does not answer in time, or not to the point, is answered for.
func TestLimitsOfTheAppOverHTTP2(t *testing.T) {
	t.Parallel()
	silent, _, _ := holding(t)
	large := app(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 10 {
			w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("y", 30<<10))
		}
	}).URL
	interim := app(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.WriteHeader(http.StatusEarlyHints)
		}
	}).URL
	for name, tt := range map[string]struct {
		upstream string
		limits   Limits
		want     string
	}{
		"no answer within --response-timeout": {silent, Limits{Response: short}, "504 UpstreamTimeout"},
		"no connection within --dial-timeout": {full(t), Limits{Dial: short}, "504 UpstreamTimeout"},
		"a head above 256 KiB":                {large, Limits{}, "502 UpstreamMalformed"},
		"interim answers without an end":      {interim, Limits{}, "502 UpstreamMalformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := protect(t, tt.upstream, func(c *Config) {
				c.AppProtocol, c.Limits = AppH2C, tt.limits
				c.Limits.Drain = time.Second
			})
			if got := verdict(t, client(t, true), request(t, "GET", "http://"+g.addr+"/docs/a", nil)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
