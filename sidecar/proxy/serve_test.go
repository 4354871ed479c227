package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// grpcApp is a health service.
func grpcApp(t *testing.T) (url string, h *health.Server) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, h := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(s, h)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return "http://" + l.Addr().String(), h
}

func grpcClient(t *testing.T, addr string, creds credentials.TransportCredentials) healthpb.HealthClient {
	t.Helper()
	c, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return healthpb.NewHealthClient(c)
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	upstream, h := grpcApp(t)
	plain := protect(t, upstream, nil)
	secure := protect(t, upstream, func(c *Config) { c.TLS = certificate(t) })
	for name, c := range map[string]healthpb.HealthClient{
		"h2c": grpcClient(t, plain.addr, insecure.NewCredentials()),
		"TLS": grpcClient(t, secure.addr, credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})), //nolint:gosec // a test
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		with := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token())

		res, err := c.Check(with, &healthpb.HealthCheckRequest{})
		if err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%s: with a token: %v %v", name, res, err)
		}
		if _, err := c.Check(with, &healthpb.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
			t.Errorf("%s: an error of the app: %v", name, err)
		}
		if _, err := c.Check(ctx, &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unauthenticated || status.Convert(err).Message() != "a token is required" {
			t.Errorf("%s: without a token: %v", name, err)
		}
		if _, err := c.List(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer x.y.z"), &healthpb.HealthListRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: with a broken token: %v", name, err)
		}

		stream, err := c.Watch(ctx, &healthpb.HealthCheckRequest{Service: name}) // anonymous
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVICE_UNKNOWN, healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
			if want != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
				h.SetServingStatus(name, want)
			}
			if got, err := stream.Recv(); err != nil || got.GetStatus() != want {
				t.Errorf("%s: stream: %v %v, want %v", name, got, err, want)
			}
		}
	}
}

func TestGRPCWithoutTheApp(t *testing.T) {
	t.Parallel()
	g := protect(t, "http://127.0.0.1:1", nil)
	c := grpcClient(t, g.addr, insecure.NewCredentials())
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token())
	if _, err := c.Check(ctx, &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	g := protect(t, echo(t).URL, func(c *Config) { c.TLS = certificate(t) })
	for _, protocol := range []string{"http/1.1", "h2"} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: &http.Protocols{}} //nolint:gosec // a test
		tr.Protocols.SetHTTP1(protocol != "h2")
		tr.Protocols.SetHTTP2(protocol == "h2")
		t.Cleanup(tr.CloseIdleConnections)
		res, body := ask(t, &http.Client{Transport: tr}, request(t, "GET", "https://"+g.addr+"/docs/a", nil))
		// Clients choose HTTP/2 without asking the app: it gets HTTP/1.1.
		if res.StatusCode != 200 || !strings.HasPrefix(body, "HTTP/1.1 GET /docs/a") || !strings.Contains(body, "X-Forwarded-Proto: https") {
			t.Errorf("%s: %d %s", protocol, res.StatusCode, body)
		}
	}
	// The strict reader stands behind TLS too.
	c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}).DialContext(t.Context(), "tcp", g.addr) //nolint:gosec // a test
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /docs/a HTTP/1.1\nHost: a\n\n")
	if b, _ := io.ReadAll(c); !strings.HasPrefix(string(b), "HTTP/1.1 400") {
		t.Errorf("bare LF over TLS: %s", b)
	}
}

func TestFailuresOfTheApp(t *testing.T) {
	t.Parallel()
	answer := func(text string) string { // an app that says this and closes
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, text)
				_ = c.Close()
			}
		}()
		return "http://" + l.Addr().String()
	}
	silent := app(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	tests := map[string]struct {
		upstream string
		status   int
		reason   string
	}{
		"it does not listen":        {"http://127.0.0.1:1", 502, "UpstreamUnavailable"},
		"it closes without a word":  {answer(""), 502, "UpstreamUnavailable"},
		"it speaks something else":  {answer("SSH-2.0-OpenSSH\r\n\r\n"), 502, "UpstreamMalformed"},
		"its head ends early":       {answer("HTTP/1.1 200 OK\r\nX-A"), 502, "UpstreamMalformed"},
		"its head is malformed":     {answer("HTTP/1.1 200 OK\r\nX A\r\n\r\n"), 502, "UpstreamMalformed"},
		"its head is too large":     {answer("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 300<<10) + "\r\n\r\n"), 502, "UpstreamMalformed"},
		"it does not answer":        {silent.URL, 504, "UpstreamTimeout"},
		"its length contradicts":    {answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 502, "UpstreamMalformed"},
		"it switches without asked": {answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), 502, "UpstreamMalformed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := protect(t, tt.upstream, func(c *Config) {
				if tt.status == 504 {
					c.Limits.Response = 200 * time.Millisecond
				}
			})
			res, body := ask(t, client(t, false), request(t, "GET", "http://"+g.addr+"/docs/a", nil))
			if res.StatusCode != tt.status || !strings.Contains(body, `"reason":"`+tt.reason+`"`) {
				t.Errorf("%d %s, want %d %s", res.StatusCode, body, tt.status, tt.reason)
			}
		})
	}
}

// An answer that breaks off must not look whole.
func TestBrokenAnswersAreNotCompleted(t *testing.T) {
	t.Parallel()
	a := app(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	g := protect(t, a.URL, nil)
	for _, h2 := range []bool{false, true} {
		res, err := client(t, h2).Do(request(t, "GET", "http://"+g.addr+"/docs/a", nil))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("h2 %v: a broken answer reads as %q", h2, b)
		}
		_ = res.Body.Close()
	}
}

func TestStreamingBothWays(t *testing.T) {
	t.Parallel()
	a := app(t, func(w http.ResponseWriter, r *http.Request) { // echoes line by line
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		in := bufio.NewReader(r.Body)
		w.Header().Set("Trailer", "X-Lines")
		w.WriteHeader(200)
		_ = rc.Flush()
		lines := 0
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				w.Header().Set("X-Lines", fmt.Sprint(lines))
				return
			}
			lines++
			_, _ = io.WriteString(w, line)
			_ = rc.Flush()
		}
	})
	g := protect(t, a.URL, nil)
	for _, h2 := range []bool{false, true} {
		pr, pw := io.Pipe()
		res, err := client(t, h2).Do(request(t, "POST", "http://"+g.addr+"/docs/a", pr))
		if err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(res.Body)
		for _, line := range []string{"one\n", "two\n"} {
			_, _ = io.WriteString(pw, line)
			if got, err := br.ReadString('\n'); err != nil || got != line {
				t.Errorf("h2 %v: %q %v", h2, got, err)
			}
		}
		_ = pw.Close()
		_, _ = io.Copy(io.Discard, br)
		if got := res.Trailer.Get("X-Lines"); got != "2" {
			t.Errorf("h2 %v: trailer %q", h2, got)
		}
		_ = res.Body.Close()
	}
}

func TestInformationalAnswersPass(t *testing.T) {
	t.Parallel()
	a := app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d", len(b))
	})
	g := protect(t, a.URL, nil)
	got := raw(t, g.addr, "POST /docs/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
	if !strings.Contains(got, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n") || !strings.Contains(got, "HTTP/1.1 100 Continue") || !strings.HasSuffix(got, "\r\n\r\n3") {
		t.Errorf("got %s", got)
	}
}

// A drain lets what runs finish, refuses new connections, and ends.
func TestDrainFinishesRequests(t *testing.T) {
	t.Parallel()
	inside, finish := make(chan struct{}), make(chan struct{})
	a := app(t, func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-finish
		_, _ = io.WriteString(w, "done")
	})
	g := protect(t, a.URL, nil)
	type result struct {
		body string
		err  error
	}
	results := make(chan result, 1)
	c := client(t, false)
	r := request(t, "GET", "http://"+g.addr+"/docs/a", nil)
	go func() {
		res, err := c.Do(r)
		if err != nil {
			results <- result{"", err}
			return
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		results <- result{string(b), err}
	}()
	<-inside
	g.stop()
	for !g.Draining() || accepts(g.addr) {
		<-time.After(time.Millisecond)
	}
	select {
	case err := <-g.stopped:
		t.Fatalf("ended with a request running: %v", err)
	default:
	}
	close(finish)
	if got := <-results; got.err != nil || got.body != "done" {
		t.Errorf("got %q, %v", got.body, got.err)
	}
	if err := <-g.stopped; err != nil {
		t.Error(err)
	}
	g.stopped <- nil
}

// accepts reports whether somebody listens.
func accepts(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// A connection that is one too many waits for one of those that have a request to end.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	url, open, _ := holding(t)
	said := make(chan string, 1)
	g := protect(t, url, func(c *Config) {
		c.Limits.Connections = 2
		c.Log = funcr.New(func(_, line string) {
			if strings.Contains(line, "clients wait") {
				said <- line // once: a second line would wait for ever
			}
		}, funcr.Options{})
	})
	busy := []net.Conn{dial(t, g.addr), dial(t, g.addr)}
	for _, c := range busy {
		fmt.Fprint(c, "POST /docs/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
	}
	eventually(t, "both are open for sure", func() bool { return open.Load() == 2 })
	waiting := make(chan string, 1)
	go func() { waiting <- raw(t, g.addr, "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") }()
	eventually(t, "the third waits", func() bool { return g.sockets.waiting.Load() == 1 })
	<-time.After(2 * relaxEvery) // in which those that wait for a request would make way
	g.observer.mu.Lock()
	conns := g.observer.conns
	g.observer.mu.Unlock()
	if conns != 2 {
		t.Errorf("%d connections open", conns)
	}
	if line := <-said; !strings.Contains(line, `"connections"=2`) {
		t.Errorf("the log says %s", line)
	}
	_ = busy[0].Close()
	if got := <-waiting; !strings.HasPrefix(got, "HTTP/1.1 401") {
		t.Errorf("got %s", got)
	}
}

// Where there are as many connections as may be, those that wait for a next request make way for those that come, a few at a time.
func TestConnectionsThatRestMakeWay(t *testing.T) {
	t.Parallel()
	const most = 32
	url, _ := counting(t)
	for name, tt := range map[string]struct {
		limits Limits
		rest   func(*guard) net.Conn
	}{
		"HTTP/1.1": {Limits{Connections: most}, func(g *guard) net.Conn {
			c := dial(t, g.addr)
			fmt.Fprint(c, "GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
			return c
		}},
		"HTTP/2":            {Limits{Connections: most}, func(g *guard) net.Conn { return preface(t, g.addr).conn }},
		"HTTP/2 of its own": {Limits{HTTP2Connections: most}, func(g *guard) net.Conn { return preface(t, g.addr).conn }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := protect(t, url, func(c *Config) { c.Limits = tt.limits })
			ended := &atomic.Int64{}
			for range most {
				c := tt.rest(g)
				go func() {
					_, _ = io.Copy(io.Discard, c)
					ended.Add(1)
					_ = c.Close()
				}()
			}
			if res, _ := ask(t, client(t, name != "HTTP/1.1"), request(t, "GET", "http://"+g.addr+"/docs/b", nil)); res.StatusCode != 200 {
				t.Errorf("one more: %d", res.StatusCode)
			}
			if n := ended.Load(); n == most {
				t.Error("all have made way")
			}
		})
	}
}

func TestObserverIsToldOfEveryRequest(t *testing.T) {
	t.Parallel()
	g := protect(t, "http://127.0.0.1:1", nil)
	c := client(t, false)
	for _, path := range []string{"/orders/1", "/docs/a", "/docs/%2f"} {
		ask(t, c, request(t, "GET", "http://"+g.addr+path, nil))
	}
	if got := strings.Join(g.observer.reasons(), " "); got != "NoToken Allowed UpstreamUnavailable BadPath" {
		t.Errorf("got %s", got)
	}
}

func TestNewRefusesBadSettings(t *testing.T) {
	t.Parallel()
	gt := gate.New(gate.Options{})
	for name, tt := range map[string]struct {
		give Config
		want string
	}{
		"nothing to listen on":     {Config{Gate: gt}, "listen: no address"},
		"an upstream with a path":  {Config{Gate: gt, Listen: []Listen{{Address: ":0", Upstream: "http://a/b"}}}, "has a path"},
		"an upstream of ftp":       {Config{Gate: gt, Listen: []Listen{{Address: ":0", Upstream: "ftp://a"}}}, `has scheme "ftp"`},
		"an upstream with a user":  {Config{Gate: gt, Listen: []Listen{{Address: ":0", Upstream: "http://u:p@a"}}}, "more or less than a host"},
		"no upstream":              {Config{Gate: gt, Listen: []Listen{{Address: ":0"}}}, `has scheme ""`},
		"redirect and an upstream": {Config{Gate: gt, Listen: []Listen{{Address: ":0", Upstream: "http://a", Redirect: true}}}, "both"},
		"a negative limit":         {Config{Gate: gt, Listen: []Listen{{Address: ":0", Redirect: true}}, Limits: Limits{Fields: -1}}, "negative"},
		"an address that is none":  {Config{Gate: gt, Listen: []Listen{{Address: "x:y:z", Redirect: true}}}, "listen x:y:z"},
	} {
		tt.give.Log = logr.Discard()
		if _, err := New(t.Context(), tt.give); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
