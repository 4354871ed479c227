package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// takes is an app of raw connections. It tells of each when something comes, and what it read until the end.
func takes(t *testing.T) (url string, begun chan struct{}, got chan string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	begun, got = make(chan struct{}, 100), make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				first := make([]byte, 4096)
				n, _ := c.Read(first)
				begun <- struct{}{}
				rest, _ := io.ReadAll(c)
				got <- string(first[:n]) + string(rest)
			}()
		}
	}()
	return "http://" + l.Addr().String(), begun, got
}

// refusals are status and reason of each answer in a stream.
func refusals(t *testing.T, stream string) (out []string) {
	t.Helper()
	br := bufio.NewReader(strings.NewReader(stream))
	for {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return out
		}
		b, _ := io.ReadAll(res.Body)
		_, reason, _ := strings.Cut(string(b), `"reason":"`)
		reason, _, _ = strings.Cut(reason, `"`)
		out = append(out, strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", reason)))
	}
}

// What a limit ends is answered, and nothing that follows on the connection is taken for a request.
func TestLimitsOnTheWire(t *testing.T) {
	t.Parallel()
	const (
		get   = "GET /docs/a HTTP/1.1\r\nHost: a\r\n"
		post  = "POST /docs/a HTTP/1.1\r\nHost: a\r\n"
		chunk = post + "Transfer-Encoding: chunked\r\n\r\n"
	)
	tests := map[string]struct {
		send string
		want string
	}{
		"a head above --max-header-bytes":          {get + "X: " + strings.Repeat("y", 4096) + "\r\n\r\n" + get + "\r\n", "431 TooLarge"},
		"a head without an end":                    {get + "X: " + strings.Repeat("y", 1<<20), "431 TooLarge"},
		"a request line without an end":            {"GET /" + strings.Repeat("y", 1<<20), "431 TooLarge"},
		"more fields than --max-headers":           {get + strings.Repeat("X: y\r\n", 20) + "\r\n" + get + "\r\n", "431 TooLarge"},
		"a target above --max-url-bytes":           {"GET /docs/" + strings.Repeat("y", 101) + " HTTP/1.1\r\nHost: a\r\n\r\n" + get + "\r\n", "414 URITooLong"},
		"a length above --max-body-bytes":          {post + "Content-Length: 1001\r\n\r\n" + strings.Repeat("b", 1001), "413 BodyTooLarge"},
		"a length above it, and no body":           {post + "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n", "413 BodyTooLarge"},
		"an enormous length":                       {post + "Content-Length: 900000000000000000\r\n\r\n", "413 BodyTooLarge"},
		"chunks above --max-body-bytes":            {chunk + strings.Repeat("64\r\n"+strings.Repeat("b", 100)+"\r\n", 11), "413 BodyTooLarge"},
		"one chunk above --max-body-bytes":         {chunk + "ffffffff\r\n" + strings.Repeat("b", 5000), "413 BodyTooLarge"},
		"a chunk's extension without an end":       {chunk + "1;" + strings.Repeat("x", 1<<20), "431 TooLarge"},
		"a chunk's size without an end":            {chunk + strings.Repeat("0", 1<<20), "400 BadRequest"},
		"trailers without an end":                  {chunk + "1\r\nb\r\n0\r\n" + strings.Repeat("X: y\r\n", 1<<16), "431 TooLarge"},
		"a trailer without an end":                 {chunk + "1\r\nb\r\n0\r\nX: " + strings.Repeat("y", 1<<20), "431 TooLarge"},
		"more trailers than --max-headers":         {chunk + "1\r\nb\r\n0\r\n" + strings.Repeat("X: y\r\n", 21) + "\r\n", "431 TooLarge"},
		"empty lines without an end":               {strings.Repeat("\r\n", 1<<16), "400 BadRequest"},
		"empty lines before a second request only": {get + "\r\n" + strings.Repeat("\r\n", 3), "200"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := protect(t, echo(t).URL, func(c *Config) {
				c.Limits = Limits{HeadBytes: 4096, Fields: 20, URL: 100, Body: 1000, Drain: time.Second}
			})
			c := dial(t, g.addr)
			go func() { _, _ = io.WriteString(c, tt.send); _ = c.(*net.TCPConn).CloseWrite() }()
			b, _ := io.ReadAll(c)
			want := []string{tt.want}
			if name == "empty lines before a second request only" {
				want = append(want, "400 BadRequest")
			}
			if diff := cmp.Diff(want, refusals(t, string(b))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The app sees nothing of a body whose length is above the limit, and of one that turns out to be, no end: its connection
// is cut.
func TestAppGetsNoWholeBodyAboveTheLimit(t *testing.T) {
	t.Parallel()
	url, begun, got := takes(t)
	g := protect(t, url, func(c *Config) { c.Limits = Limits{Body: 1000, Drain: time.Second} })
	const post = "POST /docs/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
	if a := refusals(t, raw(t, g.addr, post+"Content-Length: 1001\r\n\r\n"+strings.Repeat("b", 1001))); len(a) != 1 || a[0] != "413 BodyTooLarge" {
		t.Errorf("by its length: %v", a)
	}
	part := "190\r\n" + strings.Repeat("b", 400) + "\r\n"
	c := dial(t, g.addr)
	fmt.Fprint(c, post+"Transfer-Encoding: chunked\r\n\r\n"+part)
	<-begun
	fmt.Fprint(c, part+part+"0\r\n\r\n")
	b, _ := io.ReadAll(c)
	if a := refusals(t, string(b)); len(a) != 1 || a[0] != "413 BodyTooLarge" {
		t.Errorf("in chunks: %v", a)
	}
	if seen := <-got; strings.Contains(seen, "1001") || strings.HasSuffix(seen, "0\r\n\r\n") || strings.Count(seen, "b") > 1200 {
		t.Errorf("the app got %d bytes: %.200q...%q", len(seen), seen, seen[len(seen)-5:])
	}
	select {
	case seen := <-got:
		t.Errorf("the app got a second connection: %.200q", seen)
	default:
	}
}

// Once the app has begun to answer there is no other answer: the client's connection is cut, so that it cannot take what
// it got for whole.
func TestBodyAboveTheLimitAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	a := app(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		_, _ = io.WriteString(w, "begun")
		_ = rc.Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	})
	g := protect(t, a.URL, func(c *Config) { c.Limits = Limits{Body: 1000, Drain: time.Second} })
	for _, h2 := range []bool{false, true} {
		pr, pw := io.Pipe()
		res, err := client(t, h2).Do(request(t, "POST", "http://"+g.addr+"/docs/a", pr))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				if _, err := pw.Write(make([]byte, 100)); err != nil {
					return
				}
			}
		}()
		b, err := io.ReadAll(res.Body)
		_ = pr.Close()
		_ = res.Body.Close()
		if res.StatusCode != 200 || !strings.HasPrefix(string(b), "begun") || err == nil {
			t.Errorf("h2 %v: %d %q, %v; want an answer that breaks off", h2, res.StatusCode, b, err)
		}
	}
}
