package conformance

import (
	"bufio"
	"errors"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wire is one end of a connection, of which every byte counts. Its methods fail the test, or, on the app's side, end
// the app's script: an app that sees its connection end is no mistake of its own.
type wire struct {
	*net.TCPConn
	in  *bufio.Reader
	bad func(format string, args ...any) // does not return
}

func newWire(c net.Conn, bad func(string, ...any)) *wire {
	_ = c.SetDeadline(time.Now().Add(patience))
	return &wire{TCPConn: c.(*net.TCPConn), in: bufio.NewReaderSize(c, 64<<10), bad: bad}
}

// dial connects to the proxy.
func dial(t testing.TB, addr string) *wire {
	t.Helper()
	c, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return newWire(c, t.Fatalf)
}

// rawApp is an app that runs a script for each of its connections, which are numbered from 1.
func rawApp(t testing.TB, script func(c *wire, n int)) (url string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	group.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			group.Go(func() {
				defer c.Close()
				script(newWire(c, func(string, ...any) { runtime.Goexit() }), n)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	return "http://" + l.Addr().String()
}

// says is an app that gives this answer to each request without a body, then closes if the answer does not say how
// long it is.
func says(t testing.TB, answer string) (url string) {
	t.Helper()
	return rawApp(t, func(c *wire, _ int) {
		for {
			c.head()
			c.send(answer)
			if !strings.Contains(answer, "Content-Length: ") && !strings.HasSuffix(answer, "0\r\n\r\n") {
				return
			}
		}
	})
}

// send writes bytes.
func (w *wire) send(text string) {
	if _, err := io.WriteString(w, text); err != nil {
		w.bad("send: %v", err)
	}
}

// head is the head of a message, as it was on the wire.
type head struct {
	line   string   // request line or status line
	fields []string // the lines, as they were
}

// head reads a head.
func (w *wire) head() head {
	h := head{line: w.line()}
	h.fields = w.lines()
	return h
}

// line reads a line that ends in CRLF.
func (w *wire) line() string {
	s, err := w.in.ReadString('\n')
	if err != nil {
		w.bad("after %q: %v", s, err)
	}
	text, ok := strings.CutSuffix(s, "\r\n")
	if !ok {
		w.bad("a line ends in bare LF: %q", s)
	}
	return text
}

// lines reads lines up to an empty one.
func (w *wire) lines() []string {
	var out []string
	for {
		s := w.line()
		if s == "" {
			return out
		}
		out = append(out, s)
	}
}

// bytes reads n bytes.
func (w *wire) bytes(n int) string {
	b := make([]byte, n)
	if got, err := io.ReadFull(w.in, b); err != nil {
		w.bad("%d of %d bytes: %v", got, n, err)
	}
	return string(b)
}

// wait waits for the other side of the test.
func (w *wire) wait(next <-chan struct{}) {
	select {
	case <-next:
	case <-time.After(patience):
		w.bad("the test does not go on")
	}
}

// until reads until these bytes have come, and returns what came before them.
func (w *wire) until(text string) string {
	var b strings.Builder
	for !strings.HasSuffix(b.String(), text) {
		b.WriteString(w.bytes(1))
	}
	return strings.TrimSuffix(b.String(), text)
}

// chunks reads a body in chunks, and the lines of its trailer section.
func (w *wire) chunks() (data string, trailer []string) {
	var b strings.Builder
	for {
		size, _, _ := strings.Cut(w.line(), ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 31)
		if err != nil {
			w.bad("chunk size %q", size)
		}
		if n == 0 {
			return b.String(), w.lines()
		}
		b.WriteString(w.bytes(int(n)))
		if end := w.line(); end != "" {
			w.bad("%q behind a chunk", end)
		}
	}
}

// body reads the body that a head announces.
func (w *wire) body(h head) string {
	switch {
	case strings.EqualFold(h.get("Transfer-Encoding"), "chunked"):
		data, _ := w.chunks()
		return data
	case h.has("Content-Length"):
		n, err := strconv.Atoi(h.get("Content-Length"))
		if err != nil {
			w.bad("length: %v", err)
		}
		return w.bytes(n)
	case strings.HasPrefix(h.line, "HTTP/"):
		return w.rest()
	}
	return ""
}

// answer reads an answer to anything but HEAD.
func (w *wire) answer() (h head, body string) {
	h = w.head()
	if s := h.status(); s == "204" || s == "304" || strings.HasPrefix(s, "1") {
		return h, ""
	}
	return h, w.body(h)
}

// rest reads to the end of the connection, which must be an orderly one.
func (w *wire) rest() string {
	b, err := io.ReadAll(w.in)
	if err != nil {
		w.bad("after %d bytes, ending in %q: %v", len(b), tail(b), err)
	}
	return string(b)
}

// cut reads to the end of the connection, whatever kind of end it is.
func (w *wire) cut() string {
	b, err := io.ReadAll(w.in)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		w.bad("the connection does not end after %d bytes, ending in %q", len(b), tail(b))
	}
	return string(b)
}

// gone waits for the connection to be no more, and reads nothing. It returns false if that does not happen.
func (w *wire) gone() (is bool) {
	raw, err := w.SyscallConn()
	if err != nil {
		w.bad("%v", err)
	}
	for until := time.Now().Add(patience); !is && time.Now().Before(until); {
		_ = raw.Control(func(fd uintptr) {
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, 100) // an error is a signal
			is = n == 1
		})
	}
	return is
}

func tail(b []byte) []byte { return b[max(0, len(b)-200):] }

// status returns the three digits.
func (h head) status() string {
	if f := strings.SplitN(h.line, " ", 3); len(f) > 1 {
		return f[1]
	}
	return ""
}

// values returns the values of a field, in their order.
func (h head) values(name string) []string { return valuesOf(h.fields, name) }

// valuesOf returns the values of a field among lines. White space around them goes (RFC 9110 section 5.5).
func valuesOf(lines []string, name string) []string {
	var out []string
	for _, f := range lines {
		if n, v, ok := strings.Cut(f, ":"); ok && strings.EqualFold(n, name) {
			out = append(out, strings.Trim(v, " \t"))
		}
	}
	return out
}

// get returns the values of a field as one list.
func (h head) get(name string) string { return strings.Join(h.values(name), ", ") }

func (h head) has(name string) bool { return len(h.values(name)) > 0 }
