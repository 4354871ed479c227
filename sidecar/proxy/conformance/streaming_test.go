package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// RFC 9110 section 7.7, RFC 9112 sections 6 and 9: messages pass while they come, in both directions at once.

func TestBothDirectionsStreamAtOnce(t *testing.T) {
	t.Parallel()
	lines := guard(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_ = rc.Flush()
		b := make([]byte, 32<<10)
		for {
			n, err := r.Body.Read(b)
			_, _ = w.Write(b[:n])
			_ = rc.Flush()
			if err != nil {
				return
			}
		}
	}))
	both(t, "each line is answered before the next is sent", func(t testing.TB, v version) {
		pr, pw := io.Pipe()
		res, err := client(t, v).Do(request(t, "POST", "http://"+lines+"/open/a", pr))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		in := bufio.NewReader(res.Body)
		for i := range 5 {
			line := fmt.Sprintf("line %d\n", i)
			_, _ = io.WriteString(pw, line)
			if got, err := in.ReadString('\n'); err != nil || got != line {
				t.Fatalf("%q, %v", got, err)
			}
		}
		_ = pw.Close()
		if b, err := io.ReadAll(in); err != nil || len(b) > 0 {
			t.Errorf("at the end: %q, %v", b, err)
		}
	})
	both(t, "more than any buffer holds flows both ways", func(t testing.TB, v version) {
		text := pattern(8 << 20)
		res, err := client(t, v).Do(request(t, "POST", "http://"+lines+"/open/a", unsized(text)))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if b, err := io.ReadAll(res.Body); err != nil || string(b) != text {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}

// What the app has sent reaches the client before the app sends more.
func TestAnswersAreNotHeldBack(t *testing.T) {
	t.Parallel()
	both(t, "events come one by one", func(t testing.TB, v version) {
		next := make(chan struct{}, 5)
		addr := guard(t, app(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 5 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
				select {
				case <-next:
				case <-r.Context().Done():
				}
			}
		}))
		res, err := client(t, v).Do(request(t, "GET", "http://"+addr+"/open/a", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		in := bufio.NewReader(res.Body)
		for i := range 5 {
			if got, err := in.ReadString('\n'); err != nil || got != fmt.Sprintf("data: %d\n", i) {
				t.Errorf("%q, %v", got, err)
			}
			_, _ = in.ReadString('\n')
			next <- struct{}{}
		}
	})
	for name, tt := range map[string]struct{ framing, first, second, end string }{
		"of known length":   {"Content-Length: 6\r\n\r\n", "abc", "def", ""},
		"in chunks":         {"Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n", "3\r\ndef\r\n", "0\r\n\r\n"},
		"to the end":        {"\r\n", "abc", "def", ""},
		"in half of chunks": {"Transfer-Encoding: chunked\r\n\r\n", "6\r\nabc", "def\r\n", "0\r\n\r\n"},
	} {
		run(t, "a part of a body "+name, func(t testing.TB) {
			next := make(chan struct{}, 2)
			addr := guard(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send("HTTP/1.1 200 OK\r\n" + tt.framing)
				c.wait(next)
				c.send(tt.first)
				c.wait(next)
				c.send(tt.second + tt.end)
			}))
			c := dial(t, addr)
			c.send("GET /open/a HTTP/1.1\r\nHost: a\r\n\r\n")
			h := c.head()
			next <- struct{}{} // the head came before any byte of the body
			c.until("abc")
			next <- struct{}{}
			c.until("def")
			if h.status() != "200" {
				t.Errorf("%s", h.line)
			}
		})
	}
}

// What the client has sent reaches the app before the client sends more.
func TestRequestBodiesAreNotHeldBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ framing, first, second string }{
		"of known length": {"Content-Length: 6\r\n\r\n", "abc", "def"},
		"in chunks":       {"Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"},
	} {
		run(t, "a part of a body "+name, func(t testing.TB) {
			saw := make(chan string, 2)
			c := dial(t, guard(t, app(t, func(_ http.ResponseWriter, r *http.Request) {
				for range 2 {
					b := make([]byte, 3)
					_, _ = io.ReadFull(r.Body, b)
					saw <- string(b)
				}
			})))
			c.send("POST /open/a HTTP/1.1\r\nHost: a\r\n" + tt.framing + tt.first)
			if got := receive(t, saw); got != "abc" {
				t.Errorf("%q", got)
			}
			c.send(tt.second)
			if got := receive(t, saw); got != "def" {
				t.Errorf("%q", got)
			}
			if h, _ := c.answer(); h.status() != "200" {
				t.Errorf("%s", h.line)
			}
		})
	}
}

// An app may answer before it has read the request, and may close then (RFC 9112 section 9.6).
func TestAnswersBeforeTheBodyEnds(t *testing.T) {
	t.Parallel()
	const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nearly"
	for name, framing := range map[string]string{
		"of known length": "Content-Length: 10485760\r\n\r\n",
		"in chunks":       "Transfer-Encoding: chunked\r\n\r\na00000\r\n",
	} {
		run(t, "the answer does not wait for a body "+name, func(t testing.TB) {
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.send(early)
				c.cut()
			})))
			c.send("POST /open/a HTTP/1.1\r\nHost: a\r\n" + framing + "abc")
			if h, body := c.answer(); h.status() != "413" || body != "early" {
				t.Errorf("%s %q", h.line, body)
			}
		})
		run(t, "an app that answers and closes amid a body "+name, func(t testing.TB) {
			c := dial(t, guard(t, rawApp(t, func(c *wire, _ int) {
				c.head()
				c.bytes(3)
				c.send(strings.Replace(early, "\r\n", "\r\nConnection: close\r\n", 1))
				_ = c.CloseWrite()
				c.cut() // so that no reset overtakes the answer
			})))
			sent := make(chan error, 1)
			go func() {
				_, err := io.WriteString(c, "POST /open/a HTTP/1.1\r\nHost: a\r\n"+framing+pattern(10<<20))
				sent <- err // it may fail: nobody must read what the answer made needless
			}()
			if h, body := c.answer(); h.status() != "413" || body != "early" {
				t.Errorf("%s %q", h.line, body)
			}
			_ = c.Close()
			receive(t, sent)
		})
	}
	both(t, "an answer that ends before the request does", func(t testing.TB, v version) {
		addr := guard(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "early")
		}))
		pr, pw := io.Pipe()
		defer pw.Close()
		if res, body := ask(t, client(t, v), request(t, "POST", "http://"+addr+"/open/a", pr)); res.StatusCode != 403 || body != "early" {
			t.Errorf("%s %q", res.Status, body)
		}
	})
}

// A client that goes away takes its request with it.
func TestClientsThatLeave(t *testing.T) {
	t.Parallel()
	both(t, "the app learns of it while it answers", func(t testing.TB, v version) {
		gone := make(chan struct{})
		addr := guard(t, app(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(gone)
		}))
		res, err := client(t, v).Do(request(t, "GET", "http://"+addr+"/open/a", nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		receive(t, gone)
	})
	both(t, "a body that breaks off is an error to the app", func(t testing.TB, v version) {
		begun, read := make(chan struct{}), make(chan error, 1)
		addr := guard(t, app(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 3))
			close(begun)
			_, err := io.ReadAll(r.Body)
			read <- err
		}))
		pr, pw := io.Pipe()
		go func() {
			_, _ = io.WriteString(pw, "abc")
			<-begun
			_ = pw.CloseWithError(io.ErrUnexpectedEOF)
		}()
		res, err := client(t, v).Do(request(t, "POST", "http://"+addr+"/open/a", pr))
		if err == nil {
			_ = res.Body.Close()
		}
		if err := receive(t, read); err == nil {
			t.Error("the app took it for a whole one")
		}
	})
}
