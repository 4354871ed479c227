package conformance

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// What becomes of connections to the app behind HTTP/2, where many requests of one client come at a time.
func TestConnectionsBehindHTTP2(t *testing.T) {
	t.Parallel()
	run(t, "requests one after the other share one", func(t testing.TB) {
		url, conns := paths(t, "")
		addr := guard(t, url)
		c := client(t, http2)
		for range 5 {
			ask(t, c, request(t, "GET", "http://"+addr+"/open/a", nil))
			ask(t, c, request(t, "POST", "http://"+addr+"/open/a", strings.NewReader("abc")))
			ask(t, c, request(t, "POST", "http://"+addr+"/open/a", unsized("abc")))
		}
		if conns.Load() != 1 {
			t.Errorf("the app got %d connections", conns.Load())
		}
	})
	run(t, "no two clients share one", func(t testing.TB) {
		url, conns := paths(t, "")
		addr := guard(t, url)
		for range 3 {
			c := client(t, http2)
			ask(t, c, request(t, "GET", "http://"+addr+"/open/a", nil))
			c.CloseIdleConnections()
		}
		if conns.Load() != 3 {
			t.Errorf("the app got %d connections", conns.Load())
		}
	})
	for name, leave := range map[string]func(*http.Client){
		"ends with the client":           (*http.Client).CloseIdleConnections,
		"ends when it has not been used": func(*http.Client) {},
	} {
		run(t, "one that is kept "+name, func(t testing.TB) {
			ended := make(chan struct{})
			addr := guard(t, rawApp(t, func(c *wire, _ int) {
				h := c.head()
				c.body(h)
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				c.cut()
				close(ended)
			}))
			c := client(t, http2)
			ask(t, c, request(t, "GET", "http://"+addr+"/open/a", nil))
			leave(c)
			receive(t, ended)
		})
	}
	run(t, "a request that is given up ends its own alone", func(t testing.TB) {
		begun, ended, next := make(chan struct{}), make(chan struct{}), make(chan struct{})
		addr := guard(t, rawApp(t, func(c *wire, _ int) {
			if h := c.head(); strings.Contains(h.line, "/given-up") {
				close(begun)
				c.cut()
				close(ended)
				return
			}
			c.wait(next)
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}))
		c := client(t, http2)
		other := make(chan string, 1)
		go func() {
			res, err := c.Do(request(t, "GET", "http://"+addr+"/open/other", nil))
			if err != nil {
				other <- err.Error()
				return
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			other <- string(b)
		}()
		ctx, giveUp := context.WithCancel(t.Context())
		defer giveUp()
		go func() {
			res, err := c.Do(request(t, "GET", "http://"+addr+"/open/given-up", nil).WithContext(ctx))
			if err == nil {
				_ = res.Body.Close()
			}
		}()
		receive(t, begun)
		giveUp()
		receive(t, ended)
		close(next)
		if got := receive(t, other); got != "ok" {
			t.Errorf("the other got %q", got)
		}
	})
	run(t, "a body that is too large takes its connection with it", func(t testing.TB) {
		var whole atomic.Bool
		addr := guard(t, rawApp(t, func(c *wire, _ int) {
			h := c.head()
			c.body(h)
			whole.Store(true)
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}), func(c *proxy.Config) { c.Limits.Body = 100 })
		res, body := ask(t, client(t, http2), request(t, "POST", "http://"+addr+"/open/a", unsized(pattern(200))))
		if res.StatusCode != 413 || whole.Load() {
			t.Errorf("%s %q; the app took it for a whole one: %v", res.Status, body, whole.Load())
		}
	})
}
