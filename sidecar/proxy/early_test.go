package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestTheRestOfABodyIsNeverTheNextRequest sends a body after the app has answered without reading it.
func TestTheRestOfABodyIsNeverTheNextRequest(t *testing.T) {
	t.Parallel()
	smuggled := "GET /docs/SMUGGLED HTTP/1.1\r\nHost: orders.shop\r\n\r\n"
	for what, body := range map[string]struct{ framing, text string }{
		"in chunks":       {"Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)},
		"of known length": {fmt.Sprintf("Content-Length: %d", len(smuggled)), smuggled},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			early := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex()
				_, _ = io.WriteString(w, "early")
			}))
			t.Cleanup(early.Close)
			g := protect(t, early.URL, nil)
			c, err := net.Dial("tcp", g.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			fmt.Fprintf(c, "POST /docs/a HTTP/1.1\r\nHost: orders.shop\r\n%s\r\n\r\n", body.framing)
			r := bufio.NewReader(c)
			first, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := io.ReadAll(first.Body); first.StatusCode != http.StatusOK || string(text) != "early" || !first.Close {
				t.Errorf("got %d %q, close %v; want the app's answer and an end", first.StatusCode, text, first.Close)
			}
			_, _ = io.WriteString(c, body.text)
			if second, err := http.ReadResponse(r, nil); err == nil {
				t.Errorf("a second answer came: %s", second.Status)
			}
			g.observer.mu.Lock()
			defer g.observer.mu.Unlock()
			for _, record := range g.observer.records {
				if strings.Contains(record.Path, "SMUGGLED") {
					t.Error("bytes of a body were judged as a request")
				}
			}
		})
	}
}

// TestAnAnswerUnderWayIsFollowedByNoRefusal has the body of a request become too large, or too slow, while the app is answering: nobody may take
// a second head for a part of the first answer's body.
func TestAnAnswerUnderWayIsFollowedByNoRefusal(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		limits Limits
		rest   string
	}{
		"too large": {Limits{Body: 1000, Drain: time.Second}, "7d0\r\n" + strings.Repeat("b", 2000) + "\r\n"},
		"too slow":  {Limits{BodyRate: 1000, ReadHead: time.Second, Drain: time.Second}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			early := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rc := http.NewResponseController(w)
				_ = rc.EnableFullDuplex()
				_, _ = io.WriteString(w, "early")
				_ = rc.Flush()
				_, _ = io.Copy(io.Discard, r.Body)
			}))
			t.Cleanup(early.Close)
			g := protect(t, early.URL, func(conf *Config) { conf.Limits = c.limits })
			conn, err := net.Dial("tcp", g.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprint(conn, "POST /docs/a HTTP/1.1\r\nHost: orders.shop\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
			var got strings.Builder
			for buf := make([]byte, 1024); !strings.Contains(got.String(), "early"); {
				n, err := conn.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				got.Write(buf[:n])
			}
			_, _ = io.WriteString(conn, c.rest)
			_, _ = io.Copy(&got, conn) // until the connection ends
			if n := strings.Count(got.String(), "HTTP/1.1 "); n != 1 {
				t.Errorf("there are %d heads in\n%s", n, got.String())
			}
			if strings.Contains(got.String(), "\r\n0\r\n") {
				t.Errorf("an answer that was broken off ends as if it were whole:\n%s", got.String())
			}
		})
	}
}
