package conformance

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// RFC 9112 section 9.6, RFC 9110 section 10.1.1: an app may answer before it has read a request's body, and end the
// connection. Its answer reaches the client, whatever either side does next; where there is none, the client is told so.

// sizes are of the bodies that apps refuse, in bytes.
var sizes = []int{0, 1000, 100_000, 3_000_000, 10_000_000}

// Where an app stops to read a request.
const (
	atOnce   = "at once" // before it has read anything
	behind   = "behind the head"
	amid     = "amid the body"
	atTheEnd = "at the end"
)

// uploader sends a request with a body of n bytes and returns the status of the answer and its body.
type uploader func(t testing.TB, addr string, n int, chunked bool) (status int, text string)

// uploaders are clients of all kinds. Those of HTTP/1.1 read the answer when they have sent what they can, as simple clients do.
func uploaders(t testing.TB) map[string]uploader {
	t.Helper()
	insecure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a test
	return map[string]uploader{
		"HTTP/1.1": simple(func(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, patience) }),
		"HTTP/1.1 over TLS": simple(func(addr string) (net.Conn, error) {
			return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, insecure)
		}),
		"HTTP/2":          library("http", &http.Transport{Protocols: protocols(false, true)}),
		"HTTP/2 over TLS": library("https", &http.Transport{TLSClientConfig: insecure.Clone(), ForceAttemptHTTP2: true}),
	}
}

func simple(dial func(addr string) (net.Conn, error)) uploader {
	return func(t testing.TB, addr string, n int, chunked bool) (int, string) {
		t.Helper()
		c, err := dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		framing := fmt.Sprintf("Content-Length: %d", n)
		if chunked {
			framing = "Transfer-Encoding: chunked"
		}
		_, err = fmt.Fprintf(c, "POST /open/a HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", framing)
		for piece := strings.Repeat("x", 64<<10); err == nil && n > 0; n -= len(piece) {
			piece = piece[:min(n, len(piece))]
			if chunked {
				_, err = fmt.Fprintf(c, "%x\r\n%s\r\n", len(piece), piece)
			} else {
				_, err = io.WriteString(c, piece)
			}
		}
		if chunked && err == nil {
			_, _ = io.WriteString(c, "0\r\n\r\n")
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Errorf("after %q: %v", text, err)
		}
		return res.StatusCode, string(text)
	}
}

func library(scheme string, tr *http.Transport) uploader {
	return func(t testing.TB, addr string, n int, chunked bool) (int, string) {
		t.Helper()
		defer tr.CloseIdleConnections()
		var body io.Reader = strings.NewReader(strings.Repeat("x", n))
		if chunked {
			body = io.MultiReader(body)
		}
		res, text := ask(t, &http.Client{Transport: tr, Timeout: patience}, request(t, "POST", scheme+"://"+addr+"/open/a", body))
		return res.StatusCode, text
	}
}

// bothPlainAndTLS has a proxy serve both on its socket.
func bothPlainAndTLS(c *proxy.Config) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	c.TLS, c.Plaintext = &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}, true
}

// refusing is an app that reads as much of a request as when says, says something, and ends the connection. What it says
// may depend on nothing.
func refusing(t testing.TB, when string, n int, chunked bool, says, end string, over <-chan struct{}) (url string) {
	return rawApp(t, func(c *wire, _ int) {
		if when != atOnce {
			h := c.head()
			switch {
			case when == amid:
				c.bytes(n / 2)
			case when == atTheEnd && chunked:
				c.body(h)
			case when == atTheEnd:
				c.bytes(n)
			}
		}
		c.send(says)
		switch end {
		case "half-closes":
			_ = c.CloseWrite()
			c.wait(over)
		case "resets":
			_ = c.SetLinger(0)
		case "stays":
			c.wait(over)
		}
	})
}

func TestEarlyAnswersArrive(t *testing.T) {
	t.Parallel()
	const says = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
	for name, upload := range uploaders(t) {
		for _, end := range []string{"closes", "half-closes", "resets", "stays"} {
			run(t, name+"/an app that "+end, func(t testing.TB) {
				everyUpload(func(when string, n int, chunked bool) {
					over := make(chan struct{})
					defer close(over)
					addr := guard(t, refusing(t, when, n, chunked, says, end, over), bothPlainAndTLS)
					status, text := upload(t, addr, n, chunked)
					if when == atOnce && end == "resets" && status == 502 {
						return // the reset came before the connection was made
					}
					if status != 413 || text != "big" {
						t.Errorf("%d bytes, chunked: %v, answered %s: got %d %q, want the app's 413", n, chunked, when, status, text)
					}
				})
			})
		}
	}
}

// Where the app ends the connection without an answer, the client gets one from the proxy.
func TestUploadsThatTheAppCutsOff(t *testing.T) {
	t.Parallel()
	for name, upload := range uploaders(t) {
		for _, end := range []string{"closes", "resets"} {
			run(t, name+"/an app that "+end, func(t testing.TB) {
				everyUpload(func(when string, n int, chunked bool) {
					addr := guard(t, refusing(t, when, n, chunked, "", end, nil), bothPlainAndTLS)
					if status, text := upload(t, addr, n, chunked); status != 502 || !strings.Contains(text, "UpstreamUnavailable") {
						t.Errorf("%d bytes, chunked: %v, cut off %s: got %d %q, want 502", n, chunked, when, status, text)
					}
				})
			})
		}
	}
}

// everyUpload tries all sizes, framings, and places to stop at.
func everyUpload(try func(when string, n int, chunked bool)) {
	for _, n := range sizes {
		for _, when := range []string{atOnce, behind, amid, atTheEnd} {
			if n == 0 && when == amid || n > 3_000_000 && when != behind {
				continue
			}
			try(when, n, false)
			try(when, n, true)
		}
	}
}
