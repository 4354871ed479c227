package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A class is clients of one kind, and what they met.
type class struct {
	name      string
	transport *http.Transport
	method    string
	path      string
	workers   int           // that share the transport
	pause     time.Duration // between two requests of a worker

	mu       sync.Mutex
	asked    int                 // guarded by mu: requests, or messages of WebSockets
	again    int                 // guarded by mu: of these, sent again by the transport; see ask
	told     int                 // guarded by mu: WebSockets that got a close frame
	failures map[string]*failure // guarded by mu: by what was wrong
}

// failure is what was wrong again and again.
type failure struct {
	n           int
	first, last time.Time
}

// runLoad sends requests to url until the input ends, which it copies to the output, and prints a line for each class
// and the sum.
func runLoad(url, token string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	classes := clients()
	var wg sync.WaitGroup
	for _, c := range classes {
		for range c.workers {
			wg.Go(func() { c.work(ctx, url, token) })
		}
	}
	_, err := io.Copy(os.Stdout, os.Stdin)
	stop()
	wg.Wait()
	report(classes)
	return err
}

func clients() []*class {
	two := func() *http.Transport {
		t := &http.Transport{Protocols: new(http.Protocols)}
		t.Protocols.SetUnencryptedHTTP2(true)
		return t
	}
	const often, seldom = 5 * time.Millisecond, 700 * time.Millisecond
	return []*class{
		{name: "HTTP/1.1 kept", transport: &http.Transport{MaxIdleConnsPerHost: 8}, method: "GET", path: "/orders", workers: 4, pause: often},
		{name: "HTTP/1.1 kept, POST", transport: &http.Transport{}, method: "POST", path: "/orders", workers: 1, pause: often},
		{name: "HTTP/1.1 kept, slow", transport: &http.Transport{}, method: "GET", path: "/orders?after=300ms", workers: 2, pause: often},
		{name: "HTTP/1.1 kept, seldom", transport: &http.Transport{}, method: "GET", path: "/orders", workers: 2, pause: seldom},
		{name: "HTTP/1.1 new", transport: &http.Transport{DisableKeepAlives: true}, method: "GET", path: "/orders", workers: 2, pause: often},
		{name: "HTTP/2", transport: two(), method: "GET", path: "/orders", workers: 4, pause: often},
		{name: "HTTP/2, slow", transport: two(), method: "GET", path: "/orders?after=300ms", workers: 4, pause: often},
		{name: "WebSocket", path: "/orders/socket", workers: 2, pause: 50 * time.Millisecond},
	}
}

func (c *class) work(ctx context.Context, url, token string) {
	for ctx.Err() == nil {
		if c.transport == nil {
			c.note(c.converse(ctx, url+c.path, token))
		} else {
			again, err := c.ask(url+c.path, token)
			c.count(again)
			c.note(err)
		}
		wait(ctx, c.pause)
	}
}

// ask sends one request and takes the whole answer. A second attempt is the transport's alone: net/http sends a request
// again if a connection that was used before is closed before any of the answer, and the request is idempotent or has
// not been sent (RFC 9110 section 9.2.2), and on HTTP/2 if the server says that it did not look at it (RFC 9113 section
// 8.7). It returns how many there were.
func (c *class) ask(url, token string) (again int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conns := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { conns++ }})
	request, err := http.NewRequestWithContext(ctx, c.method, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return conns - 1, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return conns - 1, fmt.Errorf("answer cut: %w", err)
	case response.StatusCode != http.StatusOK:
		return conns - 1, errors.New(response.Status + ": " + strings.TrimSpace(string(body)))
	case !strings.Contains(string(body), " token=true "):
		return conns - 1, errors.New("answer of another request")
	}
	return conns - 1, nil
}

func (c *class) count(again int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.again += max(again, 0)
}

func (c *class) note(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures == nil {
		c.failures = map[string]*failure{}
	}
	f, now := c.failures[err.Error()], time.Now()
	if f == nil {
		f = &failure{first: now}
		c.failures[err.Error()] = f
	}
	f.n++
	f.last = now
}

// report prints what every class met, what failed, and the sum.
func report(classes []*class) {
	asked, failed := 0, 0
	for _, c := range classes {
		bad := 0
		for _, what := range slices.Sorted(maps.Keys(c.failures)) {
			const clock = "15:04:05.000"
			f := c.failures[what]
			fmt.Printf("  %d times, from %s to %s: %s: %s\n", f.n, f.first.Format(clock), f.last.Format(clock), c.name, what)
			bad += f.n
		}
		fmt.Printf("%-22s %6d sent, %3d of them again, %d told to go, %d failed\n", c.name, c.asked, c.again, c.told, bad)
		asked, failed = asked+c.asked, failed+bad
	}
	fmt.Printf("%d requests, %d failed\n", asked, failed)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
