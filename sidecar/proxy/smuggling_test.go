package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/google/go-cmp/cmp"
)

// counting is an app that counts its requests.
func counting(t *testing.T) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = &atomic.Int64{}
	s := app(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.URL.Path)
	})
	return s.URL, requests
}

// Every shape is refused before anything of it is forwarded, and so is what follows on the connection.
func TestSmugglingShapesAreRefused(t *testing.T) {
	t.Parallel()
	const (
		post  = "POST /docs/a HTTP/1.1\r\nHost: a\r\n"
		chunk = "Transfer-Encoding: chunked\r\n"
		next  = "GET /docs/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	)
	tests := map[string]struct {
		send   string
		status int
		reason string
	}{
		"CL and TE":                    {post + "Content-Length: 5\r\n" + chunk + "\r\n0\r\n\r\n" + next, 400, "BadRequest"},
		"TE and CL":                    {post + chunk + "Content-Length: 5\r\n\r\n0\r\n\r\n" + next, 400, "BadRequest"},
		"two CLs":                      {post + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + next, 400, "BadRequest"},
		"two equal CLs":                {post + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + next, 400, "BadRequest"},
		"a list of CLs":                {post + "Content-Length: 0, 0\r\n\r\n" + next, 400, "BadRequest"},
		"a signed CL":                  {post + "Content-Length: +0\r\n\r\n" + next, 400, "BadRequest"},
		"TE in a list":                 {post + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + next, 400, "BadRequest"},
		"TE with a space before colon": {post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + next, 400, "BadRequest"},
		"TE with a tab and junk":       {post + "Transfer-Encoding: chunked\tx\r\n\r\n0\r\n\r\n" + next, 400, "BadRequest"},
		"TE twice":                     {post + chunk + chunk + "\r\n0\r\n\r\n" + next, 400, "BadRequest"},
		"TE folded":                    {post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + next, 400, "BadRequest"},
		"TE in HTTP/1.0":               {"POST /docs/a HTTP/1.0\r\nHost: a\r\n" + chunk + "\r\n0\r\n\r\n" + next, 400, "BadRequest"},
		"obs-fold":                     {post + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n" + next, 400, "BadRequest"},
		"bare LF":                      {"GET /docs/a HTTP/1.1\nHost: a\n\n" + next, 400, "BadRequest"},
		"bare LF in a field":           {"GET /docs/a HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n" + next, 400, "BadRequest"},
		"bare CR":                      {"GET /docs/a HTTP/1.1\r\nHost: a\r\nX: b\rContent-Length: 9\r\n\r\n" + next, 400, "BadRequest"},
		"NUL in a value":               {"GET /docs/a HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n" + next, 400, "BadRequest"},
		"NUL in a name":                {"GET /docs/a HTTP/1.1\r\nHost: a\r\nX\x00: a\r\n\r\n" + next, 400, "BadRequest"},
		"two hosts":                    {"GET /docs/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + next, 400, "BadHost"},
		"no host":                      {"GET /docs/a HTTP/1.1\r\n\r\n" + next, 400, "BadHost"},
		"a host beside an authority":   {"GET http://b/docs/a HTTP/1.1\r\nHost: a\r\n\r\n" + next, 400, "BadHost"},
		"two authorizations":           {"GET /docs/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAUTHORIZATION: Bearer b\r\n\r\n" + next, 400, "DuplicateAuthorization"},
		"HTTP/2.0 in a request line":   {"GET /docs/a HTTP/2.0\r\nHost: a\r\n\r\n" + next, 400, "BadRequest"},
		"HTTP/0.9":                     {"GET /docs/a\r\n\r\n" + next, 400, "BadRequest"},
		"a false preface":              {"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + next, 400, "BadRequest"},
		"TLS":                          {"\x16\x03\x01\x00\xa5\x01\r\n\r\n", 400, "BadRequest"},
		"too many fields":              {"GET /docs/a HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 100) + "\r\n" + next, 431, "TooLarge"},
		"too large a head":             {"GET /docs/a HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("b", 65<<10), 431, "TooLarge"},
	}
	url, requests := counting(t)
	g := protect(t, url, nil)
	// The good request before each must be answered first, and nothing after it must get through.
	t.Run("all", func(t *testing.T) {
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, before := range []string{"", "GET /docs/first HTTP/1.1\r\nHost: a\r\n\r\n"} {
					if before != "" && strings.HasPrefix(name, "a false") {
						continue
					}
					got := raw(t, g.addr, before+tt.send)
					want := []int{tt.status}
					if before != "" {
						want = []int{200, tt.status}
					}
					if diff := cmp.Diff(want, answers(t, got)); diff != "" || !strings.Contains(got, `"reason":"`+tt.reason+`"`) {
						t.Errorf("%s\n%s", diff, got)
					}
				}
			})
		}
	})
	if n := requests.Load(); n != int64(len(tests))-1 {
		t.Errorf("the app got %d requests, want only the %d good ones", n, len(tests)-1)
	}
}

func TestMalformedChunksEndTheConnection(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	g := protect(t, url, nil)
	for name, body := range map[string]string{
		"a size with junk":         "5x\r\nhello\r\n0\r\n\r\n",
		"bare LF after a size":     "5\nhello\r\n0\r\n\r\n",
		"more data than announced": "3\r\nhello\r\n0\r\n\r\n",
		"a size that overflows":    "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
		"bare LF in an extension":  "5;a\nhello\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := raw(t, g.addr, "POST /docs/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+body+"GET /docs/smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
			if a := answers(t, got); len(a) > 1 || strings.Contains(got, "smuggled") || len(a) == 1 && a[0] != 400 {
				t.Errorf("answers %v:\n%s", a, got)
			}
		})
	}
}

func TestGoodFramingPasses(t *testing.T) {
	t.Parallel()
	url, requests := counting(t)
	g := protect(t, url, nil)
	got := raw(t, g.addr, "\r\nGET /docs/1 HTTP/1.1\r\nHost: a\r\n\r\n"+
		"POST /docs/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"+
		"POST /docs/3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n"+
		"GET /orders/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"+ // refused; its body is not the next request
		"GET http://a/docs/4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if diff := cmp.Diff([]int{200, 200, 200, 401, 200}, answers(t, got)); diff != "" || requests.Load() != 4 {
		t.Errorf("%d requests, %s\n%s", requests.Load(), diff, got)
	}
}

// What is matched is what is forwarded: whatever way a place is spelled, the app sees the canonical path or nothing.
func TestPathSpellings(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	g := protect(t, url, nil)
	for target, want := range map[string]string{
		"/docs/a":                    "/docs/a",
		"//docs///a":                 "/docs/a",
		"/docs/./a/../b":             "/docs/b",
		"/docs/%2e%2e/docs/a":        "/docs/a",
		"/docs/%61":                  "/docs/a",
		"/docs/a;x=1":                "/docs/a;x=1",
		"/docs/../orders/1":          "401",
		"/docs/%2e%2e/orders/1":      "401",
		"/docs/.%2E/orders/1":        "401",
		"/docs//admin/x":             "403",
		"/docs/x/..//admin/x":        "403",
		"/docs/%61dmin/x":            "403",
		"/docs/..;/orders/1":         "/docs/..;/orders/1",
		"/docs/a%2fb":                "400",
		"/docs/..%2forders":          "400",
		"/docs/..%5corders":          "400",
		`/docs/..\orders`:            "400",
		"/docs/%00":                  "400",
		"/docs/a%0d%0aX:y":           "400",
		"/docs/a#/orders":            "400",
		"/docs/%zz":                  "400",
		"/docs/%c0%ae%c0%ae/orders":  "400",
		"/../docs/a":                 "400",
		"/orders?/docs/a":            "401",
		"/DOCS/a":                    "401",
		"*":                          "400",
		"http://a/docs/a":            "/docs/a",
		"http://a//docs/../orders/1": "401",
		"docs/a":                     "400",
		"a:80":                       "400",
	} {
		got := raw(t, g.addr, "GET "+target+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if status := strings.Fields(head + " x x")[1]; status != "200" {
			body = status
		} else if i := strings.Index(body, "\r\n"); i >= 0 && strings.Contains(head, "chunked") {
			body = strings.SplitN(body, "\r\n", 3)[1]
		}
		if body != want {
			t.Errorf("%s: got %q, want %q", target, body, want)
		}
	}
}

func TestMethodsThatAreNotForwarded(t *testing.T) {
	t.Parallel()
	url, requests := counting(t)
	g := protect(t, url, nil)
	for _, line := range []string{"CONNECT a:80", "CONNECT /docs/a", "TRACE /docs/a", "TrAcE /docs/a"} {
		got := raw(t, g.addr, line+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if a := answers(t, got); len(a) != 1 || a[0] != 405 {
			t.Errorf("%s: %s", line, got)
		}
	}
	if requests.Load() != 0 {
		t.Error("one was forwarded")
	}
}

// HTTP/2 as a hostile client may send it, by hand.
func TestHostileHTTP2(t *testing.T) {
	t.Parallel()
	url, requests := counting(t)
	g := protect(t, url, nil)
	tests := map[string][]string{
		"a path without a slash":   {":method", "GET", ":scheme", "http", ":authority", "a", ":path", "docs/a"},
		"an empty path":            {":method", "GET", ":scheme", "http", ":authority", "a", ":path", ""},
		"a path with a fragment":   {":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/docs/a#b"},
		"a path with a line end":   {":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/docs/a HTTP/1.1\r\nX: y"},
		"a value with a line end":  {":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/docs/a", "x", "a\r\nx-user: root"},
		"a name with a colon":      {":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/docs/a", "x: y", "z"},
		"a framing of HTTP/1":      {":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/docs/a", "transfer-encoding", "chunked"},
		"an authority with a user": {":method", "GET", ":scheme", "http", ":authority", "u@a", ":path", "/docs/a"},
		"CONNECT":                  {":method", "CONNECT", ":authority", "a:80"},
		"a method with a space":    {":method", "GET /docs/b HTTP/1.1", ":scheme", "http", ":authority", "a", ":path", "/docs/a"},
		"two authorizations": {":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/docs/a",
			"authorization", "Bearer a", "authorization", "Bearer b"},
	}
	for name, fields := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if status := h2Status(t, g.addr, fields); status == "200" {
				t.Errorf("status %s", status)
			}
		})
	}
	t.Cleanup(func() {
		if requests.Load() != 0 {
			t.Error("one was forwarded")
		}
	})
}

// h2Status sends one request and returns the status, or what else happened to it.
func h2Status(t *testing.T, addr string, fields []string) string {
	t.Helper()
	c := dial(t, addr)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	fr := http2.NewFramer(c, c)
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = fr.WriteSettings()
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true})
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return f.ErrCode.String()
		case *http2.GoAwayFrame:
			return f.ErrCode.String()
		}
	}
}

// h2c must not be reached by an upgrade: what follows it would not be judged.
func TestUpgradeToAnotherHTTPIsNotOffered(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, nil)
	for _, up := range []string{"h2c", "H2C", "h2c, websocket", "HTTP/2.0", "TLS/1.2"} {
		got := raw(t, g.addr, "GET /docs/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: "+up+"\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		if a := answers(t, got); len(a) != 1 || a[0] != 200 || strings.Contains(got, "Upgrade: ") || strings.Contains(got, "Http2") {
			t.Errorf("%s: %s", up, got)
		}
	}
}

// A head must come within its time, however long the connection may be idle.
func TestSlowHeads(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	g := protect(t, url, func(c *Config) { c.Limits.ReadHead = time.Second; c.Limits.Idle = time.Hour })
	for name, send := range map[string]string{
		"the first":  "GET /docs/a HTTP/1.1\r\nHost",
		"a later":    "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\nGET /",
		"an unknown": "PRI * HTT",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			if got := raw(t, g.addr, send); time.Since(begin) > patience || strings.Contains(got, "200 OK") != (name == "a later") {
				t.Errorf("after %v: %s", time.Since(begin), got)
			}
		})
	}
}
