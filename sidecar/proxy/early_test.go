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
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
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
