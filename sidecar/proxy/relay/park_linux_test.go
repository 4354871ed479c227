package relay_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy/relay"
)

// parking is a relay with one client, and an app that does what its tests tell it to.
type parking struct {
	*testing.T
	relay  *relay.Relay
	client client
	app    chan string   // what the app is to say next
	ended  chan struct{} // the relay has let go of the connection
}

// client is a client's side of a connection.
type client interface {
	net.Conn
	CloseWrite() error
}

func newParking(t *testing.T, c relay.Config) *parking {
	t.Helper()
	client, server := pair(t)
	return park(t, c, client, server)
}

// newSecureParking is newParking for a client that speaks TLS.
func newSecureParking(t *testing.T, c relay.Config) *parking {
	t.Helper()
	client, server := pair(t)
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS() // which makes one
	t.Cleanup(cert.Close)
	down := tls.Server(&relay.Below{Conn: server}, &tls.Config{Certificates: cert.TLS.Certificates}) //nolint:gosec // a test
	up := tls.Client(client, &tls.Config{InsecureSkipVerify: true})                                  //nolint:gosec // a test
	shaken := make(chan error)
	go func() { shaken <- down.HandshakeContext(t.Context()) }()
	if err := errors.Join(up.HandshakeContext(t.Context()), <-shaken); err != nil {
		t.Fatal(err)
	}
	return park(t, c, up, down)
}

func park(t *testing.T, c relay.Config, client client, server net.Conn) *parking {
	t.Helper()
	p := &parking{T: t, relay: startRelay(t, c), app: make(chan string, 8), ended: make(chan struct{})}
	app := httptest.NewServer(p)
	t.Cleanup(app.Close)
	t.Cleanup(func() { close(p.app) })
	upstream, _ := url.Parse(app.URL)
	t.Cleanup(func() { _ = client.Close() })
	_ = client.SetDeadline(time.Now().Add(20 * time.Second))
	p.client = client
	info := relay.Info{Port: 80, Upstream: upstream, Remote: netip.MustParseAddr("127.0.0.1")}
	go p.relay.Serve(server, info, func() { close(p.ended) })
	return p
}

// large is how much the app says under /large, in bytes.
const large = 24 << 20

// ServeHTTP is the app.
func (p *parking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	switch r.URL.Path {
	case "/echo":
		b, err := io.ReadAll(r.Body)
		if err == nil {
			_, _ = fmt.Fprintf(w, "%s%s", b, r.Trailer.Get("X-End"))
		}
	case "/say":
		for s := range p.app {
			_, _ = io.WriteString(w, s)
			_ = rc.Flush()
			if strings.HasSuffix(s, "!") {
				return
			}
		}
	case "/large":
		if r.URL.RawQuery == "length" {
			w.Header().Set("Content-Length", fmt.Sprint(large))
		}
		if r.URL.RawQuery == "close" {
			p.largeToEnd(rc)
			return
		}
		p.large(w)
	case "/tunnel":
		c, rw, err := rc.Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(c, rw)
	}
}

// largeToEnd says it without a length or chunks.
func (p *parking) largeToEnd(rc *http.ResponseController) {
	c, _, err := rc.Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	p.large(c)
}

func (p *parking) large(w io.Writer) {
	for i := range large / 1024 {
		if _, err := w.Write(numbered(i)); err != nil {
			return
		}
	}
}

// numbered is a piece of a large answer.
func numbered(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%08d", i), 128) }

func (p *parking) send(s string) {
	p.Helper()
	if _, err := io.WriteString(p.client, s); err != nil {
		p.Fatal(err)
	}
}

// wait waits until so many waits have been parked.
func (p *parking) wait(n int) {
	p.Helper()
	for end := time.Now().Add(15 * time.Second); p.relay.Parked() < n; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("%d waits have been parked, want %d", p.relay.Parked(), n)
		}
	}
}

// read reads until what has been read ends in end.
func (p *parking) read(end string) string {
	p.Helper()
	var got []byte
	var b [1]byte
	for !bytes.HasSuffix(got, []byte(end)) {
		if _, err := p.client.Read(b[:]); err != nil {
			p.Fatalf("%v after %q; want %q", err, got, end)
		}
		got = append(got, b[0])
	}
	return string(got)
}

// readLarge reads a large answer.
func (p *parking) readLarge() {
	p.Helper()
	r := &http.Request{Method: http.MethodGet}
	res, err := http.ReadResponse(bufio.NewReader(p.client), r)
	if err != nil {
		p.Fatal(err)
	}
	for i := range large / 1024 {
		var b [1024]byte
		if _, err := io.ReadFull(res.Body, b[:]); err != nil || !bytes.Equal(b[:], numbered(i)) {
			p.Fatalf("piece %d: %v, %.16q", i, err, b[:])
		}
	}
	if n, err := io.Copy(io.Discard, res.Body); n > 0 || err != nil {
		p.Fatalf("%d bytes more, %v", n, err)
	}
}

const (
	getEcho = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
	ok      = "HTTP/1.1 200 OK\r\n"
)

// Whatever is waited for, for long, is waited for without a goroutine, and goes on as if nothing had been.
func TestLongWaitsAreParked(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*parking){
		"for the first byte": func(p *parking) {
			p.wait(1)
			p.send(getEcho)
			p.read("Content-Length: 0\r\n\r\n")
		},
		"for the rest of a head": func(p *parking) {
			for i, part := range []string{"\r\nGE", "T /echo HTTP/1.1\r", "\nHost: a\r\n\r"} {
				p.send(part)
				p.wait(i + 1)
			}
			p.send("\n")
			p.read("Content-Length: 0\r\n\r\n")
		},
		"for the next request": func(p *parking) {
			for i := range 3 {
				p.send(getEcho)
				p.read("Content-Length: 0\r\n\r\n")
				p.wait(i + 1)
			}
			p.send(getEcho[:10])
			p.wait(4)
			p.send(getEcho[10:] + getEcho)
			p.read("Content-Length: 0\r\n\r\n")
			p.read("Content-Length: 0\r\n\r\n")
		},
		"for the app's answer, and the request behind it": func(p *parking) {
			p.send("GET /say HTTP/1.1\r\nHost: a\r\n\r\n")
			p.wait(1)
			p.send(getEcho)
			p.app <- "now!"
			p.read("now!\r\n0\r\n\r\n")
			p.read("Content-Length: 0\r\n\r\n")
		},
		"for a request's body": func(p *parking) {
			p.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab")
			p.wait(2)
			p.send("cd")
			p.wait(3)
			p.send("ef")
			p.read("\r\n\r\nabcdef")
		},
		"for the rest of a body that came fast": func(p *parking) {
			body := strings.Repeat("0123456789abcdef", 40<<10)
			p.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 655360\r\n\r\n" + body[:300000])
			p.wait(2)
			p.send(body[300000:600000])
			p.wait(3)
			p.send(body[600000:])
			res, err := http.ReadResponse(bufio.NewReader(p.client), nil)
			if err != nil {
				p.Fatal(err)
			}
			if got, err := io.ReadAll(res.Body); err != nil || string(got) != body {
				p.Errorf("%d bytes came back, %v; want the body's %d", len(got), err, len(body))
			}
		},
		"for a request's body in chunks": func(p *parking) {
			p.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n3\r\nab")
			p.wait(2)
			p.send("c\r\n0\r\nX-En")
			p.wait(3)
			p.send("d: z\r\n\r\n")
			p.read("\r\n\r\nabcz")
		},
		"for more of an answer": func(p *parking) {
			p.send("GET /say HTTP/1.1\r\nHost: a\r\n\r\n")
			for i, s := range []string{"one", "two", "three"} {
				p.app <- s
				p.read(s + "\r\n")
				p.wait(i + 1)
			}
			p.app <- "four!"
			p.read("four!\r\n0\r\n\r\n")
			p.send(getEcho)
			p.read("Content-Length: 0\r\n\r\n")
		},
		"for a client that reads nothing of an answer in chunks": func(p *parking) {
			p.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
			p.wait(1)
			p.readLarge()
		},
		"for one that reads nothing of an answer of known length": func(p *parking) {
			p.send("GET /large?length HTTP/1.1\r\nHost: a\r\n\r\n")
			p.wait(1)
			p.readLarge()
		},
		"for one that reads nothing of an answer that ends with its connection": func(p *parking) {
			p.send("GET /large?close HTTP/1.1\r\nHost: a\r\n\r\n")
			p.wait(1)
			p.readLarge()
		},
		"in a tunnel": func(p *parking) {
			p.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
			p.read("\r\n\r\n")
			for i, s := range []string{"one", "two", "three"} {
				p.wait(2 * (i + 1))
				p.send(s)
				p.read(s)
			}
			_ = p.client.CloseWrite()
			if _, err := p.client.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // io.Reader's contract
				p.Errorf("the end of the tunnel: %v", err)
			}
			<-p.ended
		},
	}
	for name, crowd := range map[string]int{"a few connections": 0, "a crowd": 1} {
		for what, run := range cases {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				run(newParking(t, relay.Config{Crowd: crowd, Limits: relay.Limits{Write: time.Second}}))
			})
			t.Run("over TLS, "+name+"/"+what, func(t *testing.T) {
				t.Parallel()
				run(newSecureParking(t, relay.Config{Crowd: crowd, Limits: relay.Limits{Write: time.Second}}))
			})
		}
	}
}

// A wait without a goroutine ends when its time is up, as any does.
func TestParkedWaitsEnd(t *testing.T) {
	t.Parallel()
	const soon = 400 * time.Millisecond
	type ending struct {
		limits relay.Limits
		send   string
		parks  int
		then   func(*relay.Relay)
		want   string // a part of what the client gets; empty: nothing
		reset  bool
	}
	cases := map[string]ending{
		"a head that does not come":       {limits: relay.Limits{ReadHead: soon}, send: "GET / HT", parks: 1},
		"no request":                      {limits: relay.Limits{ReadHead: soon}, parks: 1},
		"no next request":                 {limits: relay.Limits{Idle: soon}, send: getEcho, parks: 1, want: ok},
		"a body that does not come":       {limits: relay.Limits{ReadHead: soon, BodyRate: 100}, send: "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", parks: 2, want: "HTTP/1.1 408 "},
		"an answer that does not come":    {limits: relay.Limits{Response: soon}, send: "GET /say HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", parks: 1, want: "HTTP/1.1 504 "},
		"an answer that is not read":      {limits: relay.Limits{Write: soon}, send: "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", parks: 1, want: ok, reset: true},
		"one that the kernel copies":      {limits: relay.Limits{Write: soon}, send: "GET /large?length HTTP/1.1\r\nHost: a\r\n\r\n", parks: 1, want: ok, reset: true},
		"an idle connection, by a drain":  {send: getEcho, parks: 1, want: ok, then: (*relay.Relay).Drain},
		"an idle connection, by a close":  {send: getEcho, parks: 1, want: ok, then: (*relay.Relay).Close},
		"an answer, by a close":           {send: "GET /say HTTP/1.1\r\nHost: a\r\n\r\n", parks: 1, then: (*relay.Relay).Close},
		"a tunnel, by a close":            {send: "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n", parks: 2, want: "HTTP/1.1 101 ", then: (*relay.Relay).Close},
		"a client that has gone for good": {send: "GET /say HTTP/1.1\r\nHost: a\r\n\r\n", parks: 1, then: nil, reset: true},
	}
	run := func(t *testing.T, p *parking, c *ending) {
		t.Helper()
		p.send(c.send)
		p.wait(c.parks)
		switch {
		case c.then != nil:
			c.then(p.relay)
		case c.want == "" && c.reset:
			_ = p.client.(*net.TCPConn).SetLinger(0)
			_ = p.client.Close()
		}
		<-p.ended
		if n := p.relay.Watched(); n > 0 {
			t.Errorf("%d waits are remembered", n)
		}
		got, err := io.ReadAll(p.client)
		if c.want == "" && len(got) > 0 || !strings.HasPrefix(string(got), c.want) || (err != nil) != c.reset {
			t.Errorf("got %.80q, %v; want %q, reset %v", got, err, c.want, c.reset)
		}
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			run(t, newParking(t, relay.Config{Limits: c.limits}), &c)
		})
		if c.want == "" && c.reset {
			continue // of a client of TLS nobody knows that it has gone
		}
		t.Run("over TLS, "+what, func(t *testing.T) {
			t.Parallel()
			run(t, newSecureParking(t, relay.Config{Limits: c.limits}), &c)
		})
	}
}

// Many connections that wait cost no goroutines.
func TestParkedWaitsHaveNoGoroutine(t *testing.T) { //nolint:paralleltest // counts all goroutines of the process
	before := runtime.NumGoroutine()
	p := newParking(t, relay.Config{})
	with := runtime.NumGoroutine()
	for range 100 {
		client, server := pair(t)
		t.Cleanup(func() { _ = client.Close() })
		go p.relay.Serve(server, relay.Info{Port: 80, Remote: netip.MustParseAddr("127.0.0.1")}, func() {})
	}
	p.wait(101)
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > with; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d with one connection, %d before", runtime.NumGoroutine(), with, before)
		}
	}
}
