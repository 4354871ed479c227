// Command peer is what others could build in Go, as rows of the benchmark to compare with: net/http's server and
// httputil.ReverseProxy around the same gate that Bearerguard uses, or a plain splice of TCP connections.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/source"
)

type config struct {
	listen, upstream, policies, admin string
	h2                                bool
}

func main() {
	var c config
	flag.StringVar(&c.listen, "listen", "", "`address` to take requests on")
	flag.StringVar(&c.upstream, "upstream", "", "the app's `address`")
	flag.StringVar(&c.policies, "policies", "", "`directory` of policies; none: splice TCP connections")
	flag.StringVar(&c.admin, "admin", "", "`address` that tells the count of allocations, named as Prometheus does")
	flag.BoolVar(&c.h2, "h2", false, "speak HTTP/2 to the app, without TLS")
	flag.Parse()
	run := serve
	if c.policies == "" {
		run = splice
	}
	if err := run(context.Background(), c); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// splice joins each client connection with one of its own to the app; io.Copy leaves moving the bytes to the kernel.
func splice(ctx context.Context, c config) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", c.listen)
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			var d net.Dialer
			app, err := d.DialContext(ctx, "tcp", c.upstream)
			if err != nil {
				return
			}
			defer app.Close()
			go func() {
				_, _ = io.Copy(app, client)
				_ = app.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.Copy(client, app)
		}()
	}
}

// serve is the proxy with the gate.
func serve(ctx context.Context, c config) error {
	g := gate.New(gate.Options{})
	dir := source.NewDir(source.DirConfig{
		Path: c.policies, Namespace: "default", Log: logr.Discard(),
		Apply: func(b *bundle.Bundle, version string) error {
			s, err := gate.NewSnapshot(b, version, gate.SnapshotOptions{})
			if err == nil {
				g.Swap(s)
			}
			return err
		},
	})
	if err := dir.Load(ctx); err != nil {
		return err
	}
	go func() { fmt.Fprintln(os.Stderr, "peer:", http.ListenAndServe(c.admin, http.HandlerFunc(allocations))) }() //nolint:gosec // one scraper, on loopback

	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{
		Addr: c.listen, Handler: handler{g, reverseProxy(c)}, Protocols: protocols,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1024},
	}
	return s.ListenAndServe()
}

func reverseProxy(c config) *httputil.ReverseProxy {
	app := &url.URL{Scheme: "http", Host: c.upstream}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!c.h2)
	protocols.SetUnencryptedHTTP2(c.h2)
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(app)
			pr.SetXForwarded()
			v := pr.In.Context().Value(verdictKey{}).(*gate.Verdict)
			for name := range pr.Out.Header {
				if v.Edit.Remove(name) {
					delete(pr.Out.Header, name)
				}
			}
			for i := range v.Edit.Set.Len() {
				f := v.Edit.Set.At(i)
				pr.Out.Header[f.Name] = []string{f.Value}
			}
		},
		Transport: &http.Transport{
			Protocols: protocols, DisableCompression: true, MaxIdleConnsPerHost: 1024, IdleConnTimeout: 2 * time.Second,
		},
	}
}

type verdictKey struct{}

// handler asks the gate and forwards what it lets through.
type handler struct {
	gate *gate.Gate
	next http.Handler
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	remote, _ := netip.ParseAddrPort(r.RemoteAddr)
	v := h.gate.Judge(&gate.Request{
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header, Port: 80, Remote: remote.Addr(),
	})
	if !v.Forward {
		http.Error(w, string(v.Reason), http.StatusUnauthorized)
		return
	}
	h.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), verdictKey{}, &v)))
}

func allocations(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "go_memstats_mallocs_total %d\n", m.Mallocs)
}
