package proxy

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// The tests of this file have much to do, and so are not run beside those of limits of time.

// bytesOf are n bytes that are not like one another, and the same each time.
func bytesOf(n int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), n) }

func sum(r io.Reader) (n int64, hash string, err error) {
	h := sha256.New()
	n, err = io.Copy(h, r)
	return n, fmt.Sprintf("%x", h.Sum(nil)), err
}

// bulk is an app that gives bytesOf what is asked for, framed as is asked for, and says what the hash is of what it is sent.
func bulk(t *testing.T) string {
	t.Helper()
	return app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			_, hash, err := sum(r.Body)
			fmt.Fprint(w, hash, err)
			return
		}
		n, _ := strconv.ParseInt(r.FormValue("n"), 10, 64)
		switch r.FormValue("frame") {
		case "length":
			w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
			_, _ = io.Copy(w, bytesOf(n))
		case "chunks":
			_, _ = io.Copy(w, bytesOf(n))
		case "close":
			c, bw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			fmt.Fprint(bw, "HTTP/1.1 200 OK\r\n\r\n")
			_, _ = io.Copy(bw, bytesOf(n))
			_ = bw.Flush()
		}
	}).URL
}

// down asks for n bytes and checks them.
func down(c *http.Client, addr, frame string, n int64) error {
	r, err := http.NewRequestWithContext(context.Background(), "GET", fmt.Sprintf("http://%s/docs/a?frame=%s&n=%d", addr, frame, n), nil)
	if err != nil {
		return err
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, want, _ := sum(bytesOf(n))
	if got, hash, err := sum(res.Body); err != nil || hash != want || res.StatusCode != 200 {
		return fmt.Errorf("%s, %d bytes of %d, %w; the same hash: %v", res.Status, got, n, err, hash == want)
	}
	return nil
}

// up sends n bytes and checks what the app has got.
func up(c *http.Client, addr, frame string, n int64) error {
	r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+addr+"/docs/a", io.NopCloser(bytesOf(n)))
	if err != nil {
		return err
	}
	if frame == "length" {
		r.ContentLength = n
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, want, _ := sum(bytesOf(n))
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != want+"<nil>" {
		return fmt.Errorf("%d bytes: %s %q, %w; want %s", n, res.Status, b, err, want)
	}
	return nil
}

// Bodies of every length arrive as they were sent, and their connection goes on.
func TestLongBodies(t *testing.T) {
	sizes := []int64{64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 256<<10 + 1, 1 << 20, 8<<20 + 3}
	if !testing.Short() {
		sizes = append(sizes, 64<<20)
	}
	url := bulk(t)
	for name, move := range map[string]func(*http.Client, string, int64) error{
		"answered, of a known length": func(c *http.Client, a string, n int64) error { return down(c, a, "length", n) },
		"answered, up to the end":     func(c *http.Client, a string, n int64) error { return down(c, a, "close", n) },
		"answered, in chunks":         func(c *http.Client, a string, n int64) error { return down(c, a, "chunks", n) },
		"sent, of a known length":     func(c *http.Client, a string, n int64) error { return up(c, a, "length", n) },
		"sent, in chunks":             func(c *http.Client, a string, n int64) error { return up(c, a, "chunks", n) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, c := protect(t, url, nil), client(t, false)
			c.Timeout = time.Minute
			for _, n := range sizes {
				if err := move(c, g.addr, n); err != nil {
					t.Errorf("%d bytes: %v", n, err)
				}
			}
			if n := g.observer.total(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

// Many long bodies at a time, both ways, do not mix.
func TestManyLongBodies(t *testing.T) {
	g, c := protect(t, bulk(t), nil), client(t, false)
	c.Timeout = time.Minute
	var all sync.WaitGroup
	for i := range int64(200) {
		all.Go(func() {
			move := [...]func(*http.Client, string, string, int64) error{down, up}[i%2]
			if err := move(c, g.addr, "length", 256<<10+i*1111); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// flood is an app that answers with size bytes, and tells how many it could write, and how that ended.
func flood(t *testing.T, head string) (url string, wrote *atomic.Int64, ended chan error) {
	t.Helper()
	wrote, ended = &atomic.Int64{}, make(chan error, 100)
	return script(t, func(c net.Conn) {
		_, err := io.WriteString(c, head)
		for block := make([]byte, 64<<10); err == nil; {
			var n int
			n, err = c.Write(block)
			wrote.Add(int64(n))
		}
		ended <- err
	}), wrote, ended
}

const endlessLength = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"

// steady waits until a number has not grown for a while, and returns it.
func steady(t *testing.T, n *atomic.Int64) int64 {
	t.Helper()
	for last, same := int64(-1), 0; ; {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("it goes on and on")
		}
		now := n.Load()
		if same++; now != last {
			last, same = now, 0
		}
		if same == 20 && now > 0 {
			return now
		}
	}
}

// kernel is more than what the kernel holds of two connections, in bytes.
const kernel = 96 << 20

// A client that reads nothing stops its app, and one that goes ends the app's answer.
func TestASlowReaderStopsTheApp(t *testing.T) {
	for name, head := range map[string]string{"of a known length": endlessLength, "up to the end": "HTTP/1.1 200 OK\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, wrote, ended := flood(t, head)
			g := protect(t, url, nil)
			c := dial(t, g.addr)
			fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
			first := steady(t, wrote)
			if first > kernel {
				t.Errorf("the app could write %d bytes that nobody reads", first)
			}
			if n, err := io.CopyN(io.Discard, c, 2*first); err != nil {
				t.Fatalf("read %d bytes of %d: %v", n, 2*first, err)
			}
			if second := steady(t, wrote); second <= first {
				t.Errorf("the app wrote %d bytes, then %d", first, second)
			}
			_ = c.Close()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Error("the app still answers")
			}
		})
	}
}

// An app that reads nothing stops its client; once it reads, all comes.
func TestASlowAppStopsTheClient(t *testing.T) {
	const size = 128 << 20
	read := make(chan struct{})
	url := app(t, func(w http.ResponseWriter, r *http.Request) {
		<-read
		_, hash, err := sum(r.Body)
		fmt.Fprint(w, hash, err)
	}).URL
	g := protect(t, url, nil)
	c := dial(t, g.addr)
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	var wrote atomic.Int64
	go func() {
		fmt.Fprintf(c, "POST /docs/a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		_, _ = io.Copy(c, io.TeeReader(bytesOf(size), counter{&wrote}))
	}()
	if n := steady(t, &wrote); n > kernel {
		t.Errorf("the client could send %d bytes that nobody reads", n)
	}
	close(read)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := sum(bytesOf(size))
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != want+"<nil>" {
		t.Errorf("the app got %s, %v; want %s", b, err, want)
	}
}

type counter struct{ n *atomic.Int64 }

// Write counts.
func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

// An app that goes in the middle of its answer does not seem to have ended it.
func TestTheAppBreaksALongAnswerOff(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn){
		"by closing": func(c *net.TCPConn) { _ = c.Close() },
		"by a reset": func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := script(t, func(c net.Conn) {
				_, _ = io.WriteString(c, endlessLength)
				_, _ = io.Copy(c, bytesOf(3<<20))
				end(c.(*net.TCPConn))
			})
			g := protect(t, url, nil)
			res, err := client(t, false).Do(request(t, "GET", "http://"+g.addr+"/docs/a", nil))
			if err != nil {
				return // the reset may be faster than the head
			}
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); err == nil || n > 3<<20 {
				t.Errorf("%d bytes, %v; want an error", n, err)
			}
		})
	}
}

// A client that goes while it sends is not taken to have sent all; nor is one that is reset.
func TestTheClientBreaksALongBodyOff(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn){
		"by closing":          func(c *net.TCPConn) { _ = c.Close() },
		"by closing its side": func(c *net.TCPConn) { _ = c.CloseWrite() },
		"by a reset":          func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, got := make(chan struct{}), make(chan error, 1)
			url := app(t, func(_ http.ResponseWriter, r *http.Request) {
				close(begun)
				_, _, err := sum(r.Body)
				got <- err
			}).URL
			g := protect(t, url, nil)
			c := dial(t, g.addr)
			fmt.Fprint(c, "POST /docs/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
			_, _ = io.Copy(c, bytesOf(3<<20))
			<-begun
			end(c.(*net.TCPConn))
			select {
			case err := <-got:
				if err == nil {
					t.Error("the app takes the body to be whole")
				}
			case <-time.After(patience):
				t.Error("the app still waits")
			}
		})
	}
}

// An app that refuses a long body without reading it is heard.
func TestAnEarlyAnswerToALongBody(t *testing.T) {
	url := app(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 2<<20)
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		fmt.Fprint(w, "too much")
	}).URL
	g := protect(t, url, nil)
	c := dial(t, g.addr)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		fmt.Fprint(c, "POST /docs/a HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
		_, _ = io.Copy(c, bytesOf(8_000_000))
	}()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); res.StatusCode != http.StatusRequestEntityTooLarge || err != nil || string(b) != "too much" {
		t.Errorf("%s %q, %v", res.Status, b, err)
	}
	<-sent
}

// A long answer, and a long body, end with their token where the policy says so.
func TestLongBodiesEndWithTheirToken(t *testing.T) {
	t.Run("answered", func(t *testing.T) {
		t.Parallel()
		url, _, ended := flood(t, endlessLength)
		token, clock, exp := soon()
		g := protect(t, url, func(c *Config) { c.Now = clock.Now }, expiring(policy.CloseStream))
		res, err := client(t, false).Do(request(t, "GET", "http://"+g.addr+"/orders/1", nil, "Authorization", "Bearer "+token))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		clock.start()
		if n, err := io.Copy(io.Discard, res.Body); err == nil || !clock.justEnded(exp) {
			t.Errorf("%d bytes, %v, %s before its end", n, err, exp.Sub(clock.Now()))
		}
		<-ended
	})
	t.Run("answered, to who reads nothing", func(t *testing.T) {
		t.Parallel()
		url, _, ended := flood(t, endlessLength)
		token, clock, exp := soon()
		g := protect(t, url, func(c *Config) { c.Now = clock.Now }, expiring(policy.CloseStream))
		c := dial(t, g.addr)
		fmt.Fprintf(c, "GET /orders/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", token)
		_, _ = c.Read(make([]byte, 1))
		clock.start()
		select {
		case <-ended:
		case <-time.After(patience):
		}
		if !clock.justEnded(exp) {
			t.Errorf("%s before its end", exp.Sub(clock.Now()))
		}
	})
	t.Run("sent", func(t *testing.T) {
		t.Parallel()
		got := make(chan error, 1)
		token, clock, exp := soon()
		url := app(t, func(_ http.ResponseWriter, r *http.Request) {
			clock.start()
			_, err := io.Copy(io.Discard, r.Body)
			got <- err
		}).URL
		g := protect(t, url, func(c *Config) { c.Now = clock.Now }, expiring(policy.CloseStream))
		c := dial(t, g.addr)
		fmt.Fprintf(c, "POST /orders/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 1000000000000\r\n\r\n", token)
		_, err := io.Copy(c, rand.NewChaCha8([32]byte{}))
		if err == nil || !clock.justEnded(exp) {
			t.Errorf("sending: %v, %s before its end", err, exp.Sub(clock.Now()))
		}
		if err := <-got; err == nil {
			t.Error("the app takes the body to be whole")
		}
	})
}

// Who takes nothing of a long answer is ended; who takes some is not.
func TestStallsOfLongAnswers(t *testing.T) {
	url, _, ended := flood(t, endlessLength)
	g := protect(t, url, func(c *Config) { c.Limits.Write = time.Second })
	c := dial(t, g.addr)
	fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
	for range 20 {
		if _, err := io.CopyN(io.Discard, c, 4<<20); err != nil {
			t.Fatalf("who reads is ended: %v", err)
		}
		<-time.After(100 * time.Millisecond)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("who reads nothing is not ended")
	}
}

// A long body that stops is not waited for.
func TestALongBodyThatStops(t *testing.T) {
	got := make(chan error, 1)
	url := app(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	}).URL
	g := protect(t, url, func(c *Config) { c.Limits.ReadHead = time.Second; c.Limits.BodyRate = 10 << 20 })
	c := dial(t, g.addr)
	fmt.Fprint(c, "POST /docs/a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
	_, _ = io.Copy(c, bytesOf(1<<20))
	if s := final(c); s != "408 RequestTimeout" {
		t.Errorf("the client is told %s", s)
	}
	if err := <-got; err == nil {
		t.Error("the app takes the body to be whole")
	}
}
