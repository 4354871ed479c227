package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// short is a limit of time that a test meets, long one that it does not.
const (
	short = 40 * time.Millisecond
	long  = time.Minute
)

// drip sends text in pieces of one byte until it is done, the connection ends or the test does.
func drip(t *testing.T, c net.Conn, text string) {
	t.Helper()
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return
		}
		select {
		case <-time.After(short / 8):
		case <-t.Context().Done():
			return
		}
	}
}

// A limit of time ends what takes longer, with an answer where one is due.
func TestLimitsOfTime(t *testing.T) {
	t.Parallel()
	const (
		get  = "GET /docs/a HTTP/1.1\r\nHost: a\r\n"
		post = "POST /docs/a HTTP/1.1\r\nHost: a\r\n"
	)
	endless := strings.Repeat("X: y\r\n", 1000)
	tests := map[string]struct {
		limits Limits
		send   string // at once
		drip   string // then byte by byte
		want   []string
	}{
		"nothing at all":                      {Limits{ReadHead: short, Idle: long}, "", "", nil},
		"a first head byte by byte":           {Limits{ReadHead: short, Idle: long}, "", get + endless, nil},
		"a later head byte by byte":           {Limits{ReadHead: short, Idle: long}, get + "\r\n", get + endless, []string{"200"}},
		"no later request":                    {Limits{ReadHead: long, Idle: short}, get + "\r\n", "", []string{"200"}},
		"a body byte by byte":                 {Limits{ReadHead: short, BodyRate: 1000}, post + "Content-Length: 1000\r\n\r\n", endless, []string{"408 RequestTimeout"}},
		"chunks byte by byte":                 {Limits{ReadHead: short, BodyRate: 1000}, post + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nx\r\n", 200), []string{"408 RequestTimeout"}},
		"a chunk's extension byte by byte":    {Limits{ReadHead: short, BodyRate: 1000}, post + "Transfer-Encoding: chunked\r\n\r\n1;", strings.Repeat("x", 1000), []string{"408 RequestTimeout"}},
		"trailers byte by byte":               {Limits{ReadHead: short, BodyRate: 1000}, post + "Transfer-Encoding: chunked\r\n\r\n0\r\n", endless, []string{"408 RequestTimeout"}},
		"a body that stops":                   {Limits{ReadHead: short, BodyRate: 1000}, post + "Content-Length: 1000\r\n\r\nabc", "", []string{"408 RequestTimeout"}},
		"a body that the client holds back":   {Limits{ReadHead: short, BodyRate: 1000}, post + "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", "", []string{"408 RequestTimeout"}},
		"a body of a refused request":         {Limits{ReadHead: short, BodyRate: 1000}, "POST /orders/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", endless, []string{"401 NoToken"}},
		"a body as slow as is allowed":        {Limits{ReadHead: short, BodyRate: 1}, post + "Connection: close\r\nContent-Length: 70\r\n\r\n" + strings.Repeat("b", 50), strings.Repeat("b", 20), []string{"200"}},
		"a slow body, with --min-body-rate 0": {Limits{ReadHead: short, BodyRate: -1}, post + "Connection: close\r\nContent-Length: 20\r\n\r\n", strings.Repeat("b", 20), []string{"200"}},
	}
	url := echo(t).URL
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := prepare(t, url, func(c *Config) { c.Limits = tt.limits; c.Limits.Drain = time.Second })
			c := dial(t, g.addr)
			_, _ = io.WriteString(c, tt.send)
			g.run()
			go drip(t, c, tt.drip)
			b, _ := io.ReadAll(c)
			var got []string
			for _, r := range refusals(t, string(b)) {
				if !strings.HasPrefix(r, "100") {
					got = append(got, r)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An app that does not answer in time is answered for: 504. One that does not take the connection: 502 or 504.
func TestLimitsOfTheApp(t *testing.T) {
	t.Parallel()
	silent, _, _ := takes(t)
	interim := script(t, func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
				return
			}
		}
	})
	tests := map[string]struct {
		upstream string
		limits   Limits
		want     string
	}{
		"no answer within --response-timeout":   {silent, Limits{Response: short}, "504 UpstreamTimeout"},
		"no connection within --dial-timeout":   {full(t), Limits{Dial: short}, "504 UpstreamTimeout"},
		"interim answers without an end":        {interim, Limits{}, "502 UpstreamMalformed"},
		"a head without an end":                 {script(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n", "X: y\r\n") }), Limits{}, "502 UpstreamMalformed"},
		"a field without an end":                {script(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nX: ", "yyyyyyyyy") }), Limits{}, "502 UpstreamMalformed"},
		"a chunk's extension without an end":    {script(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "yyyy") }), Limits{}, "502 UpstreamMalformed, or cut if the head came alone"},
		"trailers without an end":               {script(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n") }), Limits{}, "cut"},
		"more than Content-Length says, at the": {script(t, func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "yyyy") }), Limits{}, "200"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := protect(t, tt.upstream, func(c *Config) { c.Limits = tt.limits; c.Limits.Drain = time.Second })
			c := dial(t, g.addr)
			fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			got := final(c)
			if !strings.Contains(tt.want, got) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// final is the status and reason of the first answer that is not interim, or says that it breaks off.
func final(c io.Reader) string {
	br := bufio.NewReader(c)
	for range 100 {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return "cut"
		}
		if res.StatusCode == http.StatusEarlyHints {
			continue
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			return "cut"
		}
		_, reason, _ := strings.Cut(string(b), `"reason":"`)
		reason, _, _ = strings.Cut(reason, `"`)
		return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", reason))
	}
	return "interim answers without an end"
}

// script is an app that does something with each connection once a request has come.
func script(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					do(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func endless(c net.Conn, begin, again string) {
	_, err := io.WriteString(c, begin)
	for err == nil {
		_, err = io.WriteString(c, strings.Repeat(again, 1000))
	}
}

// full is an app whose queue of connections is full, so that connecting to it takes forever.
func full(t *testing.T) string {
	t.Helper()
	fd, addr := deafSocket(t)
	_ = fd
	for { // until the queue is full
		c, err := net.DialTimeout("tcp", addr, short)
		if err != nil {
			return "http://" + addr
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

// A client that reads nothing is cut off once it has taken nothing for as long as --write-timeout, however the answer is
// carried.
func TestLimitOfWriting(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 10)
	a := app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/docs/sized" {
			w.Header().Set("Content-Length", fmt.Sprint(20<<20))
		}
		for range 20 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				ended <- struct{}{}
				return
			}
		}
		t.Errorf("%s: all was taken", r.URL.Path)
		ended <- struct{}{}
	})
	for name, path := range map[string]string{"spliced": "/docs/sized", "in chunks": "/docs/chunks"} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", TLS ", secure), func(t *testing.T) {
				g := protect(t, a.URL, func(c *Config) {
					c.Limits = Limits{Write: short, Drain: time.Second}
					if secure {
						c.TLS = certificate(t)
					}
				})
				c := dial(t, g.addr)
				_ = c.(*net.TCPConn).SetReadBuffer(4096)
				if secure {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
				}
				fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
				<-ended
				begin := time.Now()
				defer func() {
					if d := time.Since(begin); d > patience {
						t.Errorf("closed %v later: a client that reads nothing was waited for", d)
					}
				}()
				eventually(t, "the connection is closed", func() bool {
					g.observer.mu.Lock()
					defer g.observer.mu.Unlock()
					return g.observer.conns == 0
				})
			})
		}
	}
}
