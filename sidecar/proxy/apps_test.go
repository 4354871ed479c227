package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// secureApp is an app that speaks TLS, and HTTP/2 too if it is to. It answers with the version of the protocol and the body.
func secureApp(t *testing.T, h2 bool) (url string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Proto+" "+string(b))
	}))
	s.EnableHTTP2 = h2
	s.StartTLS()
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL, roots
}

// Apps over TLS choose the version of HTTP that requests of HTTP/2 clients come in.
func TestAppsOverTLS(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		appH2, clientH2 bool
		protocol        AppProtocol
		contentType     string
		want            string
	}{
		"an HTTP/1.1 client": {true, false, AppAuto, "text/plain", "HTTP/1.1"},
		"an HTTP/2 client":   {true, true, AppAuto, "text/plain", "HTTP/1.1"},
		"gRPC":               {true, true, AppAuto, "application/grpc", "HTTP/2.0"},
		"all in HTTP/2":      {true, true, AppH2C, "text/plain", "HTTP/2.0"},
		"all in HTTP/2, to an app that speaks HTTP/1.1":     {false, true, AppH2C, "text/plain", "HTTP/1.1"},
		"gRPC, to an app that speaks HTTP/1.1":              {false, true, AppAuto, "application/grpc", "HTTP/1.1"},
		"all in HTTP/1.1, though the app could have HTTP/2": {true, true, AppHTTP1, "application/grpc", "HTTP/1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, roots := secureApp(t, tt.appH2)
			g := protect(t, url, func(c *Config) { c.AppProtocol, c.AppRoots = tt.protocol, roots })
			c := client(t, tt.clientH2)
			var all sync.WaitGroup
			for _, body := range []string{"", "abc", strings.Repeat("x", 1<<20), "", "abc"} { // at a time, and then one after the other
				ask1 := func() {
					r := request(t, "POST", "http://"+g.addr+"/docs/a", strings.NewReader(body), "Content-Type", tt.contentType)
					if res, got := ask(t, c, r); res.StatusCode != 200 || got != tt.want+" "+body {
						t.Errorf("%d bytes: got %s %.100q, want %s", len(body), res.Status, got, tt.want)
					}
				}
				all.Go(ask1)
				if body == "" {
					all.Wait()
				}
			}
			all.Wait()
		})
	}
}

// An answer up to the end of the connection is whole over TLS if TLS says so (RFC 9112 section 9.8): else the app may have crashed.
func TestAppsOverTLSThatEndWithoutAWord(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*tls.Conn) error{
		"in order":       (*tls.Conn).Close,
		"without a word": func(c *tls.Conn) error { return c.NetConn().Close() },
	} {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhalf")
			_ = end(c.(*tls.Conn))
		}))
		t.Cleanup(s.Close)
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		g := protect(t, s.URL, func(c *Config) { c.AppRoots = roots })
		for _, h2 := range []bool{false, true} {
			res, err := client(t, h2).Do(request(t, "GET", "http://"+g.addr+"/docs/a", nil))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if whole := err == nil; string(b) != "half" || whole != (name == "in order") {
				t.Errorf("%s, HTTP/2 %v: %q, %v", name, h2, b, err)
			}
		}
	}
}

// held is a connection that holds what is written once it is told to, and writes all of it at once.
type held struct {
	net.Conn
	hold bool
	out  []byte
}

// Write implements net.Conn.
func (h *held) Write(p []byte) (int, error) {
	if h.hold {
		h.out = append(h.out, p...)
		return len(p), nil
	}
	return h.Conn.Write(p)
}

// What an app says over TLS besides an answer is no answer to the request that the client has sent behind that, though only the beginning of it has come by then.
func TestStrayAnswersOverTLS(t *testing.T) {
	t.Parallel()
	t.Run("whole", func(t *testing.T) { t.Parallel(); strayOverTLS(t, 0) })
	t.Run("all but the end", func(t *testing.T) { t.Parallel(); strayOverTLS(t, 1) })
	t.Run("the length of the record", func(t *testing.T) { t.Parallel(); strayOverTLS(t, 60) })
}

// strayOverTLS has so many bytes of the stray answer come after the next request.
func strayOverTLS(t *testing.T, late int) {
	certificates := httptest.NewTLSServer(nil)
	t.Cleanup(certificates.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	go func() {
		for answers := []string{answer + "first", answer + "stray"}; ; answers = []string{answer + "other"} {
			below, err := l.Accept()
			if err != nil {
				return
			}
			h := &held{Conn: below}
			c := tls.Server(h, certificates.TLS)
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				t.Error(err)
				return
			}
			h.hold = true
			for _, a := range answers {
				_, _ = io.WriteString(c, a)
			}
			_, _ = below.Write(h.out[:len(h.out)-late])
			if late > 0 && len(answers) > 1 {
				_ = below.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // nothing comes if the connection is not used again
				_, _ = below.Read(make([]byte, 1))
			}
			_, _ = below.Write(h.out[len(h.out)-late:])
		}
	}()
	roots := x509.NewCertPool()
	roots.AddCert(certificates.Certificate())
	g := protect(t, "https://"+l.Addr().String(), func(c *Config) { c.AppRoots = roots })
	conn := dial(t, g.addr)
	_, _ = io.WriteString(conn, strings.Repeat("GET /docs/a HTTP/1.1\r\nHost: a\r\n\r\n", 2))
	in := bufio.NewReader(conn)
	for _, want := range []string{"first", "other"} {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != want || err != nil {
			t.Errorf("the answer is %q, %v; want %q", b, err, want)
		}
	}
}

// An app that has chosen HTTP/1.1 is not asked again by the connections of the same client.
func TestAppsOverTLSAreAskedOnceForHTTP2(t *testing.T) {
	t.Parallel()
	var offers atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }))
	s.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, "h2") {
			offers.Add(1)
		}
		return nil, nil
	}}
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	g := protect(t, s.URL, func(c *Config) { c.AppRoots, c.AppProtocol = roots, AppH2C })
	c := client(t, true)
	for range 4 {
		if res, body := ask(t, c, request(t, "GET", "http://"+g.addr+"/docs/a", nil)); res.StatusCode != http.StatusOK {
			t.Errorf("got %s %q", res.Status, body)
		}
	}
	if n := offers.Load(); n != 1 {
		t.Errorf("HTTP/2 was offered %d times", n)
	}
}

// Apps that cannot be connected to are answered for, and it is said why.
func TestAppsThatCannotBeConnectedTo(t *testing.T) {
	t.Parallel()
	secure, _ := secureApp(t, true)
	plain := app(t, func(http.ResponseWriter, *http.Request) {}).URL
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for name, tt := range map[string]struct{ url, want string }{
		"a certificate of nobody known": {secure, "502 UpstreamUnavailable"},
		"an app that speaks no TLS":     {strings.Replace(plain, "http:", "https:", 1), "502 UpstreamUnavailable"},
		"a name that nobody has":        {"http://nobody.invalid:80", "502 UpstreamUnavailable"},
		"nothing listens by that name":  {"http://localhost:1", "502 UpstreamUnavailable"},
		"a handshake without an end":    {"https://" + silent.Addr().String(), "504 UpstreamTimeout"},
	} {
		for _, h2 := range []bool{false, true} {
			for _, protocol := range []AppProtocol{AppAuto, AppH2C} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					g := protect(t, tt.url, func(c *Config) {
						if c.AppProtocol = protocol; strings.HasPrefix(tt.want, "504") {
							c.Limits.Dial = 300 * time.Millisecond
						}
					})
					for _, body := range []io.Reader{nil, strings.NewReader("abc"), strings.NewReader(strings.Repeat("x", 1<<20))} {
						method := "GET"
						if body != nil {
							method = "POST"
						}
						if got := verdict(t, client(t, h2), request(t, method, "http://"+g.addr+"/docs/a", body)); got != tt.want {
							t.Errorf("%s over HTTP/2 %v, %s: %s, want %s", method, h2, protocol, got, tt.want)
						}
					}
				})
			}
		}
	}
}

// An app is found by its name, whichever of its addresses it listens on.
func TestAppsByName(t *testing.T) {
	t.Parallel()
	a := app(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Proto+" "+string(b))
	})
	_, port, _ := net.SplitHostPort(a.Listener.Addr().String())
	for _, protocol := range []AppProtocol{AppAuto, AppH2C} {
		g := protect(t, "http://localhost:"+port, func(c *Config) { c.AppProtocol = protocol })
		for _, h2 := range []bool{false, true} {
			for _, body := range []string{"", "abc", strings.Repeat("x", 1<<20)} {
				want := "HTTP/1.1 " + body
				if h2 && protocol == AppH2C {
					want = "HTTP/2.0 " + body
				}
				res, got := ask(t, client(t, h2), request(t, "POST", "http://"+g.addr+"/docs/a", strings.NewReader(body)))
				if res.StatusCode != 200 || got != want {
					t.Errorf("%s, HTTP/2 %v, %d bytes: got %s %.50q", protocol, h2, len(body), res.Status, got)
				}
			}
		}
	}
}

// A client that goes while the app is being connected to leaves nothing behind.
func TestClientsThatGoWhileTheAppIsConnectedTo(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	g := protect(t, "https://"+silent.Addr().String(), nil)
	conns := make(chan net.Conn)
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	c := dial(t, g.addr)
	_, _ = io.WriteString(c, "POST /docs/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+token()+"\r\nContent-Length: 10\r\n\r\nabc")
	toApp := <-conns
	_ = c.Close()
	if _, err := io.Copy(io.Discard, toApp); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}

// An app takes only so many calls on a connection. All those that come while the first one is being made are answered.
func TestManyCallsWhileTheAppIsConnectedTo(t *testing.T) {
	t.Parallel()
	url, roots := secureApp(t, true)
	_, port, _ := net.SplitHostPort(app(t, func(http.ResponseWriter, *http.Request) {}).Listener.Addr().String())
	for _, upstream := range []string{url, "http://localhost:" + port} {
		g := protect(t, upstream, func(c *Config) { c.AppProtocol, c.AppRoots = AppH2C, roots })
		c := client(t, true)
		if got := verdict(t, c, request(t, "GET", "http://"+g.addr+"/none", nil)); got != "401 NoToken" { // so that the client is connected
			t.Fatal(got)
		}
		var all sync.WaitGroup
		for i := range 240 {
			body := strings.Repeat("x", i)
			all.Go(func() {
				if got := verdict(t, c, request(t, "POST", "http://"+g.addr+"/docs/a", strings.NewReader(body))); got != "200" {
					t.Errorf("%s: %s", upstream, got)
				}
			})
		}
		all.Wait()
	}
}
