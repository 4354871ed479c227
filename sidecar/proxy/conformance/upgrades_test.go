package conformance

import (
	"io"
	"strings"
	"testing"
)

// RFC 9110 section 7.8: after a 101 the connection is the app's and the client's, whatever they speak.

const (
	asking    = "GET /open/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: talk/1\r\n\r\n"
	switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: talk/1\r\n\r\n"
)

// switched asks for an upgrade that the app grants, and returns the client's end behind the answer.
func switched(t testing.TB, script func(c *wire)) *wire {
	t.Helper()
	c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
		h := c.head()
		if h.get("Upgrade") != "talk/1" || !strings.EqualFold(h.get("Connection"), "upgrade") {
			c.bad("the app was not asked")
		}
		script(c)
	})))
	c.send(asking)
	h := c.head()
	if h.status() != "101" || h.get("Upgrade") != "talk/1" || !strings.EqualFold(h.get("Connection"), "upgrade") {
		t.Fatalf("got %s %q", h.line, h.fields)
	}
	return c
}

func TestUpgradesAreSpliced(t *testing.T) {
	t.Parallel()
	run(t, "both ways, in turns", func(t testing.TB) {
		c := switched(t, func(c *wire) {
			c.send(switching)
			for {
				c.send("<" + c.bytes(5) + ">")
			}
		})
		for _, text := range []string{"hello", "\r\n\r\n\x00", "GET /"} {
			c.send(text)
			if got := c.bytes(7); got != "<"+text+">" {
				t.Errorf("got %q", got)
			}
		}
	})
	run(t, "the app speaks first, in the same breath as its answer", func(t testing.TB) {
		c := switched(t, func(c *wire) {
			c.send(switching + "first\x00")
			c.cut()
		})
		if got := c.bytes(6); got != "first\x00" {
			t.Errorf("got %q", got)
		}
	})
	run(t, "more than any buffer holds, both ways at once", func(t testing.TB) {
		text := pattern(4 << 20)
		c := switched(t, func(c *wire) {
			c.send(switching)
			_, _ = io.Copy(c, c.in)
			_ = c.CloseWrite()
		})
		go func() {
			_, _ = io.WriteString(c, text)
			_ = c.CloseWrite()
		}()
		if got := c.rest(); got != text {
			t.Errorf("%d bytes came back, not the same", len(got))
		}
	})
	run(t, "what looks like a request is none", func(t testing.TB) {
		c := switched(t, func(c *wire) {
			c.send(switching)
			c.send(c.until("\r\n\r\n"))
			_ = c.CloseWrite()
			c.cut()
		})
		c.send(get("/orders/1"))
		if got := c.rest(); got != strings.TrimSuffix(get("/orders/1"), "\r\n\r\n") {
			t.Errorf("got %q", got)
		}
	})
	run(t, "the client's half-close reaches the app, which goes on", func(t testing.TB) {
		c := switched(t, func(c *wire) {
			c.send(switching)
			c.send("heard " + c.rest())
		})
		c.send("all")
		_ = c.CloseWrite()
		if got := c.rest(); got != "heard all" {
			t.Errorf("got %q", got)
		}
	})
	run(t, "the app's half-close reaches the client, who goes on", func(t testing.TB) {
		heard := make(chan string, 1)
		c := switched(t, func(c *wire) {
			c.send(switching + "bye")
			_ = c.CloseWrite()
			heard <- c.bytes(5)
		})
		if got := c.rest(); got != "bye" {
			t.Errorf("got %q", got)
		}
		c.send("still")
		if got := receive(t, heard); got != "still" {
			t.Errorf("the app heard %q", got)
		}
	})
	run(t, "the client's end is the app's", func(t testing.TB) {
		ended := make(chan struct{})
		c := switched(t, func(c *wire) {
			c.send(switching)
			c.cut()
			close(ended)
		})
		_ = c.Close()
		receive(t, ended)
	})
}

// Bytes behind the head are for the app if it switches, or end the connection; they are a request if it does not.
func TestBytesBehindAnUpgrade(t *testing.T) {
	t.Parallel()
	run(t, "an app that switches", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			c.head()
			c.send(switching)
			c.send("got " + c.bytes(5))
		})))
		c.send(asking + "early")
		got := c.cut()
		if _, after, _ := strings.Cut(got, "\r\n\r\n"); strings.HasPrefix(got, "HTTP/1.1 101") && after != "got early" && after != "" {
			t.Errorf("got %q", got)
		}
	})
	run(t, "a request before the answer is never judged as a frame, nor forwarded unjudged", func(t testing.TB) {
		heads := make(chan string, 4)
		c := dial(t, guard(t, rawApp(t, func(c *wire, n int) {
			for {
				h := c.head()
				heads <- h.line
				c.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
			}
		})))
		c.send(asking + get("/orders/1") + get("/open/2"))
		for _, want := range []string{"403", "401", "403"} {
			if h, _ := c.answer(); h.status() != want {
				t.Fatalf("got %s, want %s", h.line, want)
			}
		}
		if a, b := receive(t, heads), receive(t, heads); a != "GET /open/a HTTP/1.1" || b != "GET /open/2 HTTP/1.1" {
			t.Errorf("the app got %q and %q", a, b)
		}
	})
}

func TestUpgradesThatAreNotMade(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]string{
		"the app answers":           "200 OK",
		"the app refuses":           "403 Forbidden",
		"the app wants another":     "426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: talk/2",
		"the app sends it away":     "302 Found\r\nLocation: /x",
		"the app finds it's broken": "400 Bad Request",
	} {
		run(t, name, func(t testing.TB) {
			c := dial(t, guard(t, says(t, "HTTP/1.1 "+status+"\r\nContent-Length: 5\r\n\r\nhello")))
			for range 2 { // the connection is HTTP's still
				c.send(asking)
				if h, body := c.answer(); !strings.HasPrefix("HTTP/1.1 "+status, h.line) || body != "hello" {
					t.Fatalf("got %s %q", h.line, body)
				}
			}
			c.send(get("/orders/1"))
			if h, _ := c.answer(); h.status() != "401" {
				t.Errorf("what comes next is not judged: %s", h.line)
			}
		})
	}
	for name, send := range map[string]string{
		"to another HTTP":        "GET /open/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"to TLS":                 "GET /open/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n",
		"by a client of 1.0":     "GET /open/a HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: talk/1\r\n\r\n",
		"that Connection forgot": "GET /open/a HTTP/1.1\r\nHost: a\r\nUpgrade: talk/1\r\n\r\n",
	} {
		run(t, "none is offered "+name, func(t testing.TB) {
			if h := forwarded(t, send); h.has("Upgrade") || strings.Contains(strings.ToLower(h.get("Connection")), "upgrade") {
				t.Errorf("the app got %q", h.fields)
			}
		})
	}
	for name, answer := range map[string]string{
		"to what was not asked for": strings.ReplaceAll(switching, "talk/1", "talk/9"),
		"without saying to what":    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
	} {
		run(t, "an app that switches "+name, func(t testing.TB) {
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send(answer)
			})))
			c.send(asking)
			if h, _ := c.answer(); h.status() != "502" {
				t.Errorf("got %s", h.line)
			}
		})
	}
	run(t, "an app that switches unasked", func(t testing.TB) {
		c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
			c.head()
			c.send(switching + get("/orders/1"))
		})))
		c.send(get("/open/a"))
		if h, _ := c.answer(); h.status() != "502" {
			t.Errorf("got %s", h.line)
		}
	})
	run(t, "without a token the app is not asked", func(t testing.TB) {
		heads := make(chan head, 1)
		c := dial(t, guard(t, seenBy(t, heads)))
		c.send(strings.Replace(asking, "/open/", "/orders/", 1))
		if h, _ := c.answer(); h.status() != "401" || h.has("Upgrade") {
			t.Errorf("got %s %q", h.line, h.fields)
		}
		if len(heads) > 0 {
			t.Error("the app was asked")
		}
	})
}

// RFC 6455 section 4: what a WebSocket's ends say to each other in their heads passes as it is.
func TestWebSocketHandshakeFieldsPass(t *testing.T) {
	t.Parallel()
	heads := make(chan head, 1)
	c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
		heads <- c.head()
		c.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
			"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
		c.cut()
	})))
	c.send("GET /open/a HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nOrigin: http://b\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: talk, chat\r\n\r\n")
	answer, asked := c.head(), receive(t, heads)
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Origin": "http://b", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits", "Sec-WebSocket-Protocol": "talk, chat",
	} {
		if got := asked.get(name); got != want {
			t.Errorf("the app got %s: %q", name, got)
		}
	}
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol": "chat",
		"Sec-WebSocket-Extensions": "permessage-deflate; server_no_context_takeover",
	} {
		if got := answer.get(name); got != want {
			t.Errorf("the client got %s: %q", name, got)
		}
	}
}
