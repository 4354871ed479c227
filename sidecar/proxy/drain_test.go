package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// While the proxy lingers, every answer asks for the connection's end, and a client that does as it is asked loses
// nothing, whether it comes with a new connection or has an old one.
func TestDrainWait(t *testing.T) {
	t.Parallel()
	const linger = 8 * time.Second
	g := protect(t, echo(t).URL, func(c *Config) { c.Limits = Limits{Linger: linger, Drain: 2 * time.Second} })
	old, two := client(t, false), client(t, true)
	for _, c := range []*http.Client{old, two} {
		if got := verdict(t, c, request(t, "GET", "http://"+g.addr+"/docs/a", nil)); got != "200" {
			t.Fatalf("before: %s", got)
		}
	}
	g.stop()
	eventually(t, "the proxy says that it drains", g.Draining)
	most := time.Now().Add(linger / 4) // on a machine that is slow
	for i := 0; i < 20 && (i < 2 || time.Now().Before(most)); i++ {
		res, _ := ask(t, old, request(t, "GET", "http://"+g.addr+"/docs/a", nil))
		if res.StatusCode != 200 || i > 0 && !res.Close {
			t.Errorf("request %d: %s, Connection: close %v", i, res.Status, res.Close)
		}
		if res, _ := ask(t, old, request(t, "GET", "http://"+g.addr+"/orders/1", nil)); res.StatusCode != 401 || !res.Close {
			t.Errorf("a refusal: %s, Connection: close %v", res.Status, res.Close)
		}
		if got := verdict(t, two, request(t, "GET", "http://"+g.addr+"/docs/a", nil)); got != "200" {
			t.Errorf("HTTP/2: %s", got)
		}
	}
	if err := <-g.stopped; err != nil {
		t.Error(err)
	}
	g.stopped <- nil
}

// Connections on which nothing has come, and idle ones, do not hold the drain up.
func TestDrainDoesNotWaitForSilence(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	g := protect(t, url, func(c *Config) { c.Limits = Limits{Drain: time.Minute, ReadHead: time.Minute, Idle: time.Minute} })
	silent, idle := dial(t, g.addr), dial(t, g.addr)
	fmt.Fprint(idle, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are open", func() bool {
		g.observer.mu.Lock()
		defer g.observer.mu.Unlock()
		return g.observer.conns == 2
	})
	g.stop()
	for name, c := range map[string]io.Reader{"silent": silent, "idle": idle} {
		if b, err := io.ReadAll(c); err != nil || len(b) > 0 && name == "silent" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if err := <-g.stopped; err != nil {
		t.Error(err)
	}
	g.stopped <- nil
}

// A connection that was to be kept when its answer began ends with the answer, if the drain has begun meanwhile, and what has been sent on it
// by then is answered.
func TestDrainEndsWithTheAnswersUnderWay(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]int{"alone": 0, "with a next request": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, release := make(chan struct{}), make(chan struct{})
			url := app(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/docs/slow" {
					_, _ = io.WriteString(w, "half")
					_ = http.NewResponseController(w).Flush()
					close(begun)
					<-release
				}
				_, _ = io.WriteString(w, "half")
			}).URL
			g := protect(t, url, func(c *Config) { c.Limits = Limits{Drain: time.Minute, Idle: time.Minute} })
			var idle []net.Conn
			for range 8 { // on both loops
				idle = append(idle, dial(t, g.addr))
			}
			busy := dial(t, g.addr)
			const get = "GET /docs/%s HTTP/1.1\r\nHost: a\r\n\r\n"
			fmt.Fprintf(busy, get, "slow")
			<-begun
			in := bufio.NewReader(busy)
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.Close {
				t.Fatalf("the answer is not to be followed by another: %v", err)
			}
			fmt.Fprint(busy, strings.Repeat(fmt.Sprintf(get, "next"), more))
			g.stop()
			for _, c := range idle {
				if _, err := io.ReadAll(c); err != nil {
					t.Fatal(err)
				}
			}
			close(release)
			if b, err := io.ReadAll(res.Body); err != nil || string(b) != "halfhalf" {
				t.Errorf("got %q, %v", b, err)
			}
			for range more {
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(res.Body); err != nil || string(b) != "half" || !res.Close {
					t.Errorf("the next answer: %q, %v, Connection: close %v", b, err, res.Close)
				}
			}
			if b, err := io.ReadAll(in); err != nil || len(b) > 0 {
				t.Errorf("behind the answers: %q, %v", b, err)
			}
			if err := <-g.stopped; err != nil {
				t.Error(err)
			}
			g.stopped <- nil
		})
	}
}

// What does not end is ended after --drain.
func TestDrainEnds(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		url, open, _ := holding(t)
		g := protect(t, url, func(c *Config) { c.Limits.Drain = 50 * time.Millisecond })
		given := make(chan error, 1)
		c, r := client(t, h2), request(t, "GET", "http://"+g.addr+"/docs/a", nil)
		go func() {
			res, err := c.Do(r)
			if err == nil {
				_ = res.Body.Close()
			}
			given <- err
		}()
		eventually(t, "the request gets to the app", func() bool { return open.Load() == 1 })
		g.stop()
		if err := <-g.stopped; err != nil {
			t.Error(err)
		}
		g.stopped <- nil
		if err := <-given; err == nil {
			t.Errorf("h2 %v: the client got an answer", h2)
		}
		eventually(t, "the app is told that it is given up", func() bool { return open.Load() == 0 })
	}
}

// One address has so many connections at most; what is above is closed without a word, and a place that is given back can
// be taken again.
func TestConnectionsOfOneClient(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	g := protect(t, url, func(c *Config) { c.Limits = Limits{PerClient: 2, Drain: time.Second} })
	const get = "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n"
	first, second := dial(t, g.addr), dial(t, g.addr)
	for _, c := range []io.ReadWriter{first, second} {
		fmt.Fprint(c, get)
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
	}
	third := dial(t, g.addr)
	fmt.Fprint(third, get)
	if b, _ := io.ReadAll(third); len(b) > 0 {
		t.Errorf("a third connection got %q", b)
	}
	_ = first.Close()
	eventually(t, "a place is free", func() bool {
		c := dial(t, g.addr)
		defer c.Close()
		fmt.Fprint(c, strings.Replace(get, "Host", "Connection: close\r\nHost", 1))
		b, _ := io.ReadAll(c)
		return strings.HasPrefix(string(b), "HTTP/1.1 200")
	})
}

// Clients of HTTP/2 are told of a drain, and what they are at may end. Those that are at nothing do not hold it up.
func TestDrainTellsHTTP2Clients(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	url := app(t, func(http.ResponseWriter, *http.Request) { close(asked); <-release }).URL
	g := protect(t, url, func(c *Config) { c.Limits = Limits{Drain: time.Minute, Idle: time.Minute} })
	busy, idle := preface(t, g.addr), preface(t, g.addr)
	_ = busy.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: busy.fields("GET", "/docs/a"), EndHeaders: true, EndStream: true})
	<-asked
	g.stop()
	for name, w := range map[string]*wire2{"idle": idle, "busy": busy} {
		if got := w.end(); got != "GOAWAY NO_ERROR" {
			t.Errorf("%s: %s", name, got)
		}
	}
	close(release)
	if got := busy.end(); got != "200" {
		t.Errorf("the request that ran: %s", got)
	}
	if err := <-g.stopped; err != nil {
		t.Error(err)
	}
	g.stopped <- nil
}

// What had been sent when the drain began is answered, also where no loop has had the time to look at it.
func TestDrainAnswersWhatHasCome(t *testing.T) {
	t.Parallel()
	for name, asked := range map[string]bool{"on a new connection": false, "on a kept connection": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held := &holder{held: make(chan struct{}, 64), release: make(chan struct{})}
			g := protect(t, echo(t).URL, func(c *Config) {
				held.Observer = c.Observer
				c.Observer, c.Limits = held, Limits{Drain: time.Minute, Idle: time.Minute, ReadHead: time.Minute}
			})
			open := func(first bool) net.Conn {
				c := dial(t, g.addr)
				if first {
					fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
					if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.Close {
						t.Fatalf("a first request: %v, %v", res, err)
					}
				}
				return c
			}
			var holds, late []net.Conn
			for range runtime.GOMAXPROCS(0) { // connections go to the loop that has the fewest
				holds = append(holds, open(true))
			}
			for range 8 {
				late = append(late, open(asked))
			}
			eventually(t, "all are open", func() bool { return g.observer.total() == len(holds)+len(late) })
			for _, c := range holds {
				fmt.Fprint(c, "GET /docs/hold HTTP/1.1\r\nHost: a\r\n\r\n")
				<-held.held
			}
			for _, c := range late {
				fmt.Fprint(c, "GET /docs/late HTTP/1.1\r\nHost: a\r\n\r\n")
			}
			g.stop()
			eventually(t, "the port is closed", func() bool {
				c, err := net.Dial("tcp", g.addr)
				if err == nil {
					_ = c.Close()
				}
				return err != nil
			})
			close(held.release)
			for _, c := range late {
				if b, err := io.ReadAll(c); err != nil || !strings.Contains(string(b), "/docs/late") {
					t.Errorf("got %q, %v", b, err)
				}
			}
		})
	}
}

// holder holds the loops of requests for /docs/hold until it is told to release them.
type holder struct {
	Observer
	held, release chan struct{}
}

func (h *holder) Request(r *telemetry.Record) {
	if h.Observer.Request(r); r.Path == "/docs/hold" {
		h.held <- struct{}{}
		<-h.release
	}
}
