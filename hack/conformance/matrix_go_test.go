package conformance

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"
)

// pattern is n bytes that repeat only after a prime number of them.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = '!' + byte(i%89)
	}
	return b
}

func patterned(n int) string { return digest(pattern(n)) }

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b))[:16] }

func accepts(t *testing.T, addr string) bool {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// goApp is the matrix's app on net/http.
func goApp() http.HandlerFunc {
	var stored sync.Map
	steps := make(chan struct{}, 8)
	changed := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /open/stored/", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		stored.Store(r.URL.Path, b)
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("GET /open/stored/", func(w http.ResponseWriter, r *http.Request) {
		b, _ := stored.Load(r.URL.Path)
		text, _ := b.([]byte)
		_, _ = w.Write(text)
	})
	mux.HandleFunc("/open/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("/open/file", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", changed, bytes.NewReader(pattern(10_000)))
	})
	mux.HandleFunc("/open/text.txt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		zw := gzip.NewWriter(w)
		_, _ = zw.Write(pattern(10_000))
		_ = zw.Close()
	})
	mux.HandleFunc("/open/trailers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "abc")
		w.Header().Set("X-Sum", "1")
	})
	mux.HandleFunc("/open/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-steps:
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("/open/next", func(http.ResponseWriter, *http.Request) { steps <- struct{}{} })
	return mux.ServeHTTP
}

// goClient is the matrix's client on net/http.
func goClient(t *testing.T, addr, method string) (string, error) {
	tr := &http.Transport{DisableCompression: true, ExpectContinueTimeout: patience}
	t.Cleanup(tr.CloseIdleConnections)
	g := &goAsker{t: t, base: "http://" + addr, client: &http.Client{Transport: tr, Timeout: patience}}
	res, b := g.ask("GET", "/open/hello", nil)
	g.say("get", res.StatusCode, string(b))
	res, b = g.ask("HEAD", "/open/hello", nil)
	g.say("head", res.StatusCode, res.ContentLength, len(b))
	for name, size := range sizes {
		g.upload("body-"+name+"-length", method, bytes.NewReader(pattern(size)))
		g.upload("body-"+name+"-chunked", method, io.MultiReader(bytes.NewReader(pattern(size))))
	}
	res, _ = g.ask("GET", "/open/file", nil)
	res, b = g.ask("GET", "/open/file", nil, "If-Modified-Since", res.Header.Get("Last-Modified"))
	g.say("not-modified", res.StatusCode, len(b))
	res, b = g.ask("GET", "/open/text.txt", nil, "Accept-Encoding", "gzip")
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	if b, err = io.ReadAll(zr); err != nil {
		return "", err
	}
	g.say("gzip", res.StatusCode, res.Header.Get("Content-Encoding"), len(b), digest(b))
	res, b = g.ask("GET", "/open/file", nil, "Range", "bytes=10-19")
	g.say("range", res.StatusCode, res.Header.Get("Content-Range"), string(b))
	g.upload("expect", method, bytes.NewReader(pattern(1024)), "Expect", "100-continue")
	res, b = g.ask("GET", "/open/trailers", nil)
	g.say("trailers", res.StatusCode, string(b), "X-Sum="+res.Trailer.Get("X-Sum"))
	first, _ := g.ask("GET", "/open/hello", nil)
	res, _ = g.ask("GET", "/open/hello", nil)
	g.say("reuse", first.StatusCode, res.StatusCode, map[bool]string{true: "True", false: "False"}[g.reused])
	if method == "POST" {
		g.say("events", strings.Join(g.events(), ","))
	}
	return g.out.String(), nil
}

type goAsker struct {
	t      *testing.T
	base   string
	client *http.Client
	out    strings.Builder
	reused bool // the last request came on a connection of an earlier one
}

func (g *goAsker) say(words ...any) { fmt.Fprintln(&g.out, words...) }

func (g *goAsker) do(method, path string, body io.Reader, fields ...string) *http.Response {
	g.t.Helper()
	ctx := httptrace.WithClientTrace(g.t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { g.reused = i.Reused }})
	r, err := http.NewRequestWithContext(ctx, method, g.base+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	res, err := g.client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return res
}

func (g *goAsker) ask(method, path string, body io.Reader, fields ...string) (*http.Response, []byte) {
	g.t.Helper()
	res := g.do(method, path, body, fields...)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res, b
}

func (g *goAsker) upload(name, method string, body io.Reader, fields ...string) {
	g.t.Helper()
	res, _ := g.ask(method, "/open/stored/go-"+name, body, fields...)
	_, b := g.ask("GET", "/open/stored/go-"+name, nil)
	g.say(name, res.StatusCode/100, len(b), digest(b))
}

// events reads events, and asks for the next when it has one.
func (g *goAsker) events() []string {
	g.t.Helper()
	res := g.do("GET", "/open/events", nil)
	defer res.Body.Close()
	var out []string
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		if in.Text() != "" {
			out = append(out, in.Text())
			g.ask("GET", "/open/next", nil)
		}
	}
	return out
}
