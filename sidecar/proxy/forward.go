package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/relay"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// forwarder sends requests to apps in HTTP/2.
type forwarder struct {
	proxy   *Proxy
	reverse *httputil.ReverseProxy
	http2   *http.Transport // h2c
	tls     *http.Transport // https upstreams; ALPN decides
}

// exchange is one request that goes to the app in HTTP/2, or that nobody else settles.
type exchange struct {
	proxy    *Proxy
	info     *connInfo
	id       string
	start    time.Time
	request  gate.Request // what the gate was asked
	verdict  *gate.Verdict
	body     io.Closer // the request's, as the client sends it
	watch    *relay.Watched
	answered atomic.Bool      // the app has sent something
	interim  int              // interim answers so far
	trace    *trace.Request   // nil: the request is not traced
	record   telemetry.Record // what the observer was told last
	status   int              // that the client is answered with
}

var errInterim = errors.New("too many interim answers")

// countInterim is an httptrace hook. The transport bounds no interim answers that ReverseProxy passes on.
func (x *exchange) countInterim(int, textproto.MIMEHeader) error {
	if x.interim++; x.interim > ends.MaxInterim {
		return errInterim
	}
	return nil
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

func newForwarder(p *Proxy) *forwarder {
	f := &forwarder{proxy: p}
	f.http2, f.tls = f.transport(), f.transport()
	f.http2.Protocols.SetUnencryptedHTTP2(true)
	f.tls.Protocols.SetHTTP1(true)
	f.tls.Protocols.SetHTTP2(true)
	f.reverse = &httputil.ReverseProxy{
		Rewrite:        f.rewrite,
		Transport:      roundTripper(f.choose),
		ModifyResponse: answer,
		ErrorHandler:   f.fail,
		FlushInterval:  -1, // what the app has said, the client gets
		BufferPool:     bufferPool{},
		ErrorLog:       stdLog(p.log),
	}
	return f
}

func (f *forwarder) transport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: f.proxy.limits.Dial}).DialContext,
		Protocols:              &http.Protocols{},
		DisableCompression:     true, // bodies pass as they are
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        2 * time.Second, // below what apps keep idle connections for
		ResponseHeaderTimeout:  f.proxy.limits.Response,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

func (f *forwarder) close() {
	for _, t := range []*http.Transport{f.http2, f.tls} {
		t.CloseIdleConnections()
	}
}

// forward sends the request on and the answer back.
func (f *forwarder) forward(w *relay.Watched, r *http.Request, x *exchange) {
	v := x.verdict
	r.Header.Del("Upgrade") // HTTP/2 has none (RFC 9113 section 8.2.2)
	r.Header.Del("Http2-Settings")
	if most := f.proxy.mostBody(v); most > 0 {
		r.Body = http.MaxBytesReader(w, r.Body, most)
	}
	x.watch, x.body = w, r.Body
	ctx := context.WithValue(r.Context(), exchangeKey{}, x)
	if !v.Until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, v.Until)
		defer cancel()
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotFirstResponseByte: func() { x.answered.Store(true) },
		Got1xxResponse:       x.countInterim,
	})
	f.reverse.ServeHTTP(w, r.WithContext(ctx))
}

// rewrite makes the request for the app. It runs after hop-by-hop fields have been removed, so that a client's
// Connection header cannot take away what is set here.
func (f *forwarder) rewrite(pr *httputil.ProxyRequest) {
	x := exchangeOf(pr.In.Context())
	v := x.verdict
	pr.Out.URL = targetURL(x.info.Upstream, v.Target, v.Host)
	pr.Out.Host = v.Host
	for name := range pr.Out.Header {
		if kind := head.KindOf(name); v.Edit.Remove(name) || kind == head.Proxy || kind == head.RequestID {
			delete(pr.Out.Header, name)
		}
	}
	for _, r := range v.Edit.Replace {
		pr.Out.Header[r.Name] = r.Values
		if len(r.Values) == 0 {
			delete(pr.Out.Header, r.Name)
		}
	}
	f.setForwarded(pr, x.info)
	pr.Out.Header["Via"] = append(pr.Out.Header["Via"], "2.0 bearerguard") // RFC 9110 section 7.6.3
	pr.Out.Header[requestid.Header] = []string{x.id}
	if x.trace != nil {
		parent, state := x.trace.Send(f.proxy.now())
		pr.Out.Header[tracing.Traceparent] = []string{parent}
		delete(pr.Out.Header, tracing.Tracestate)
		if state != "" {
			pr.Out.Header[tracing.Tracestate] = []string{state}
		}
	}
	for i := range v.Edit.Set.Len() {
		s := v.Edit.Set.At(i)
		pr.Out.Header[s.Name] = []string{s.Value}
	}
	forwardTrailers(pr, v.Edit)
}

// answer edits what the app has answered.
func answer(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	x.status = res.StatusCode
	res.Body = &answerBody{ReadCloser: res.Body, request: x.body}
	c := &x.verdict.CORS
	for name := range res.Header {
		if c.Drops(name) {
			delete(res.Header, name)
		}
	}
	if len(c.Set) > 0 {
		defer func() { // they are no trailers
			for _, f := range c.Set {
				res.Header.Add(f.Name, f.Value)
			}
		}()
	}
	return trailersOnly(res)
}

// answerBody is the body of an answer.
type answerBody struct {
	io.ReadCloser
	request io.Closer
}

// Close closes the body. The transport waits then for whoever reads the request's body, which a client may still send that has
// been answered early: nobody wants it any more, and ReverseProxy keeps the transport from closing it.
func (b *answerBody) Close() error {
	_ = b.request.Close()
	return b.ReadCloser.Close()
}

// trailersOnly makes an answer of gRPC's trailers-only form one of headers and trailers, which says the same. ReverseProxy
// flushes headers as soon as it has them, and then the stream would end without trailers: an error to gRPC's clients.
func trailersOnly(res *http.Response) error {
	if res.Header.Get("Grpc-Status") == "" || len(res.Trailer) > 0 {
		return nil
	}
	res.Trailer = http.Header{}
	for name, values := range res.Header {
		switch name {
		case "Content-Type", "Date", "Server", "Content-Length":
		default:
			res.Trailer[name] = values
			delete(res.Header, name)
		}
	}
	return nil
}

// targetURL makes a URL that is written as exactly the target, with the host that the request is sent with.
func targetURL(upstream *url.URL, target, host string) *url.URL {
	path, query, hasQuery := strings.Cut(target, "?")
	u := &url.URL{Scheme: upstream.Scheme, Host: upstream.Host, RawQuery: query, ForceQuery: hasQuery && query == "", Opaque: path}
	if strings.HasPrefix(path, "//") {
		// Two slashes would read as an authority. The transport cuts scheme and host off an absolute target.
		u.Opaque = "//" + host + path
	}
	return u
}

// forwardTrailers lets the client's trailers through but for those that RemoveTrailer names, and what only a head may say.
// The transport sends Out.Trailer once the body has ended, which is when the server knows the values.
func forwardTrailers(pr *httputil.ProxyRequest, e gate.Edit) {
	pr.Out.Trailer = nil
	if len(pr.In.Trailer) == 0 || pr.Out.Body == nil {
		return
	}
	out := http.Header{}
	for name := range pr.In.Trailer {
		if head.KindOf(name) == head.Other && !e.RemoveTrailer(name) {
			out[name] = nil
		}
	}
	pr.Out.Trailer = out
	pr.Out.Body = &trailerBody{ReadCloser: pr.Out.Body, in: pr.In, out: out}
}

// trailerBody copies the trailers at the end of the body.
type trailerBody struct {
	io.ReadCloser
	in  *http.Request
	out http.Header
}

// Read reads the body.
func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { //nolint:errorlint // io.Reader's contract
		for name := range b.out {
			b.out[name] = b.in.Trailer[name]
		}
	}
	return n, err
}

// choose picks the transport.
func (f *forwarder) choose(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return f.tls.RoundTrip(r)
	}
	return f.http2.RoundTrip(r)
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// buffers are shared by all bodies.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// bufferPool implements httputil.BufferPool; pointers go into the pool, so that nothing is allocated.
type bufferPool struct{}

// Get returns a buffer.
func (bufferPool) Get() []byte { return buffers.Get().(*[32 << 10]byte)[:] }

// Put takes a buffer back.
func (bufferPool) Put(b []byte) { buffers.Put((*[32 << 10]byte)(b)) }
