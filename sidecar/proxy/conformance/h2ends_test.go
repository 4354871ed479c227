package conformance

import (
	"io"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An answer that has no body is whole with its head: the app's stream is not waited for, which may never end.
func TestAnswersOfHTTP2WithoutABodyEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ method, status string }{"HEAD": {"HEAD", "200"}, "204": {"GET", "204"}, "304": {"GET", "304"}} {
		overH2C(t, name, func(t testing.TB) {
			ended := make(chan h2.ErrCode, 1)
			addr := guard(t, h2cApp(t, func(_ *wire, f *h2.Framer, s uint32) {
				answers(f, s, false, ":status", tt.status)
				for {
					frame, err := f.ReadFrame()
					if err != nil {
						return
					}
					if r, ok := frame.(*h2.RSTStreamFrame); ok && r.StreamID == s {
						ended <- r.ErrCode
						return
					}
				}
			}))
			if res, _ := ask(t, client(t, http2), request(t, tt.method, "http://"+addr+"/open/a", nil)); res.Status[:3] != tt.status {
				t.Errorf("got %s", res.Status)
			}
			if code := receive(t, ended); code != h2.ErrCodeCancel {
				t.Errorf("the app's stream ends by %s", code)
			}
		})
	}
}

// Trailers may follow on content of no bytes.
func TestTrailersOfHTTP2BehindNoContent(t *testing.T) {
	t.Parallel()
	overH2C(t, "content-length: 0", func(t testing.TB) {
		addr := guard(t, h2cApp(t, func(_ *wire, f *h2.Framer, s uint32) {
			answers(f, s, false, ":status", "200", "content-length", "0")
			answers(f, s, true, "x-sum", "1")
		}))
		res, err := client(t, http2).Do(request(t, "GET", "http://"+addr+"/open/a", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.ReadAll(res.Body); err != nil || res.Trailer.Get("X-Sum") != "1" {
			t.Errorf("got trailers %v, %v", res.Trailer, err)
		}
	})
}

// A connection to an app that takes no head as large as the next request's ends like any other on which nothing is asked.
func TestConnectionsOfHTTP2EndWhereNothingCanBeAsked(t *testing.T) {
	t.Parallel()
	overH2C(t, "SETTINGS_MAX_HEADER_LIST_SIZE", func(t testing.TB) {
		over := make(chan struct{})
		addr := guard(t, rawApp(t, func(c *wire, n int) {
			if n == 1 {
				defer close(over)
			}
			c.bytes(len(h2.ClientPreface))
			f := h2.NewFramer(c, c.in)
			_ = f.WriteSettings(h2.Setting{ID: h2.SettingMaxHeaderListSize, Val: 50})
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				if head, ok := frame.(*h2.HeadersFrame); ok {
					answers(f, head.StreamID, true, ":status", "204")
				}
			}
		}))
		c := client(t, http2)
		for _, want := range []int{204, 502} {
			if res, _ := ask(t, c, request(t, "GET", "http://"+addr+"/open/a", nil)); res.StatusCode != want {
				t.Errorf("got %s, want %d", res.Status, want)
			}
		}
		select {
		case <-over:
		case <-time.After(patience):
			t.Error("the app's connection is kept, though nothing is asked on it")
		}
	})
}

// An app that takes back what it has begun to answer is not believed that it has not looked at the request: a client would send that again
// (RFC 9113 section 8.7).
func TestAnswersOfHTTP2ThatBreakOffAreNotRefused(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(f *h2.Framer, s uint32) error{
		"RST_STREAM": func(f *h2.Framer, s uint32) error { return f.WriteRSTStream(s, h2.ErrCodeRefusedStream) },
		"GOAWAY":     func(f *h2.Framer, _ uint32) error { return f.WriteGoAway(0, h2.ErrCodeNo, nil) },
	} {
		overH2C(t, name, func(t testing.TB) {
			begun := make(chan struct{})
			addr := guard(t, h2cApp(t, func(_ *wire, f *h2.Framer, s uint32) {
				answers(f, s, false, ":status", "200")
				<-begun
				_ = breaks(f, s)
				for {
					if _, err := f.ReadFrame(); err != nil {
						return
					}
				}
			}))
			res, err := client(t, http2).Do(request(t, "GET", "http://"+addr+"/open/a", nil))
			close(begun)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if _, err := io.ReadAll(res.Body); err == nil || !strings.Contains(err.Error(), h2.ErrCodeInternal.String()) {
				t.Errorf("the client is told %v", err)
			}
		})
	}
}

// A request whose trailers are larger than what the app says that it takes ends, on both sides.
func TestTrailersThatAnAppOfHTTP2DoesNotTakeEndTheRequest(t *testing.T) {
	t.Parallel()
	overH2C(t, "SETTINGS_MAX_HEADER_LIST_SIZE", func(t testing.TB) {
		ready, ended := make(chan struct{}), make(chan h2.ErrCode, 1)
		addr := guard(t, rawApp(t, func(c *wire, _ int) {
			c.bytes(len(h2.ClientPreface))
			f := h2.NewFramer(c, c.in)
			_ = f.WriteSettings(h2.Setting{ID: h2.SettingMaxHeaderListSize, Val: 8192})
			untilPing(f)
			close(ready)
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				if r, ok := frame.(*h2.RSTStreamFrame); ok {
					ended <- r.ErrCode
				}
			}
		}))
		c, f := asks(t, addr, "POST", false)
		c.wait(ready)
		answers(f, 1, true, "x-sum", strings.Repeat("a", 9000))
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for status := ""; status == ""; {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if head, ok := frame.(*h2.MetaHeadersFrame); ok {
				if status = head.PseudoValue("status"); status != "502" {
					t.Errorf("answered %s", status)
				}
			}
		}
		if code := receive(t, ended); code != h2.ErrCodeCancel {
			t.Errorf("the app's stream ends by %s", code)
		}
	})
}
