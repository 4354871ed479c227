package proxy

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// Config is what a Proxy is made from.
type Config struct {
	// Gate judges every request.
	Gate *gate.Gate
	// Listen are the sockets to serve; at least one.
	Listen []Listen
	// AppProtocol is what requests of HTTP/2 clients go to apps in; default AppAuto.
	AppProtocol AppProtocol
	// AppRoots are the authorities that vouch for apps of https upstreams; nil: those of the system.
	AppRoots *x509.CertPool
	// Resolver looks up apps that are known by a name; nil: net.DefaultResolver.
	Resolver *net.Resolver
	// Limits bound what clients may use; zero fields have defaults.
	Limits Limits
	// TLS, if not nil, is served on every socket. Its NextProtos is set by the proxy.
	TLS *tls.Config
	// Plaintext also serves clients that do not start with a TLS handshake, on the same sockets.
	Plaintext bool
	// TrustForwarded are addresses of proxies whose X-Forwarded-* and Forwarded fields are passed on; default none.
	TrustForwarded []netip.Prefix
	// Observer is told of every request and connection; nil means nobody.
	Observer Observer
	// Tracer traces requests; nil: none is.
	Tracer *tracing.Tracer
	// Pressure reports whether the kernel is to hold little for each connection now, of what it has sent and of what it has yet to take, and how many bytes
	// less it has to hold for all: connections for which it holds most are ended. Loops call it up to once a millisecond while anything happens; it must
	// not block. Nil: the kernel may hold anything.
	Pressure func() (tight bool, excess int64)
	// Log gets state changes and what goes wrong with connections.
	Log logr.Logger
	// Flush is called when a loop ends, also by a panic that ends the program: it returns when what was logged is written, or soon.
	// Nil: nothing is waited for.
	Flush func()
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// AppProtocol says in which version of HTTP an app gets the requests of HTTP/2 clients. Those of HTTP/1.1 clients always
// come in HTTP/1.1, and over TLS to the app its own choice of HTTP/2 (RFC 7301) stands for h2c.
type AppProtocol string

// The protocols.
const (
	// AppAuto is HTTP/1.1, and h2c for gRPC and Connect.
	AppAuto AppProtocol = "auto"
	// AppHTTP1 is HTTP/1.1 for all.
	AppHTTP1 AppProtocol = "http1"
	// AppH2C is HTTP/2 without TLS for all, for apps that speak nothing else.
	AppH2C AppProtocol = "h2c"
)

// Listen is one socket and the app behind it.
type Listen struct {
	// Address to listen on, "host:port" or ":port".
	Address string
	// Upstream is where requests go: an http or https URL without path, query or user. Empty with Redirect.
	Upstream string
	// Redirect sends requests to the address and port that the client dialled, as package capture redirected it: what the
	// app does not listen on stays out of reach.
	Redirect bool
	// AppAddress, if it is valid, takes the place of the address that the client dialled, for Redirect.
	AppAddress netip.Addr
	// Port is the port that rules see; 0 means the port of Address.
	Port int
}

// Limits bound what clients may use. The zero value of each field means its default.
type Limits struct {
	// HeadBytes bounds a request's head (default 64 KiB), Fields the number of its header fields (100), URL the length of
	// its target (32 KiB).
	HeadBytes, Fields, URL int
	// Body bounds a request's body, in bytes; 0: no bound. What the rules say of a body holds as well.
	Body int64
	// BodyRate is how many bytes a second a body has to come in at on average, once it has been waited for as long as
	// ReadHead (100); negative: any.
	BodyRate int64
	// Connections bounds open client connections (default 10,000). Where there are as many, those that have waited for a next request for
	// longest make way, and others wait in the kernel's queue.
	Connections int
	// PerClient bounds the connections of one address, further ones are closed at once; 0: no bound but Connections.
	PerClient int
	// Streams bounds concurrent requests on one HTTP/2 connection (default 250), Resets how many of them a client may give
	// up in a second before its connection ends (100).
	Streams, Resets int
	// HTTP2Connections bounds open connections that speak HTTP/2 (5,000), likewise; further ones wait for as long as ReadHead.
	// HTTP2Requests bounds the concurrent requests of all of them, further ones are refused (3,000).
	HTTP2Connections, HTTP2Requests int
	// ReadHead bounds the time for a head (10 s), Idle that between requests (75 s), Write how long a client may take none
	// of its answer (60 s).
	ReadHead, Idle, Write time.Duration
	// Dial bounds connecting to the app (5 s), Response the wait for its answer's head (0: no bound).
	Dial, Response time.Duration
	// Linger is how long the proxy goes on taking connections and requests once told to stop, answering each with the
	// wish to close, so that nobody meets a closed door (default 0).
	Linger time.Duration
	// Drain bounds the time for requests and upgraded connections to end once the proxy stops (30 s).
	Drain time.Duration
}

// Observer is told what happens. Its methods must not block.
type Observer interface {
	// Request is called when a request's fate is settled, before it is forwarded or refused.
	Request(r *telemetry.Record)
	// Connection is called with +1 and -1.
	Connection(delta int)
}

func (l Limits) withDefaults() Limits {
	l.HeadBytes = cmp.Or(l.HeadBytes, 64<<10)
	l.Fields = cmp.Or(l.Fields, 100)
	l.URL = cmp.Or(l.URL, 32<<10)
	l.BodyRate = cmp.Or(l.BodyRate, 100)
	l.Connections = cmp.Or(l.Connections, 10_000)
	l.Streams = cmp.Or(l.Streams, 250)
	l.Resets = cmp.Or(l.Resets, 100)
	l.HTTP2Connections = cmp.Or(l.HTTP2Connections, 5000)
	l.HTTP2Requests = cmp.Or(l.HTTP2Requests, 3000)
	l.ReadHead = cmp.Or(l.ReadHead, 10*time.Second)
	l.Idle = cmp.Or(l.Idle, 75*time.Second)
	l.Write = cmp.Or(l.Write, 60*time.Second)
	l.Dial = cmp.Or(l.Dial, 5*time.Second)
	l.Drain = cmp.Or(l.Drain, 30*time.Second)
	return l
}

func (l Limits) validate() error {
	for _, v := range []int64{
		int64(l.HeadBytes), int64(l.Fields), int64(l.URL), l.Body, int64(l.Connections), int64(l.PerClient), int64(l.Streams),
		int64(l.Resets), int64(l.ReadHead), int64(l.Idle), int64(l.Write), int64(l.Dial), int64(l.Response), int64(l.Drain),
		int64(l.Linger), int64(l.HTTP2Connections), int64(l.HTTP2Requests),
	} {
		if v < 0 {
			return errors.New("limits: a negative number; want 0 for the default, or more")
		}
	}
	return nil
}

// upstream returns where the requests of a socket go, nil for Redirect.
func (l Listen) upstream() (*url.URL, error) {
	if l.Redirect {
		if l.Upstream != "" {
			return nil, fmt.Errorf("listen %s: has both an upstream and redirect; want one", l.Address)
		}
		return nil, nil //nolint:nilnil // documented
	}
	u, err := url.Parse(l.Upstream)
	switch {
	case err != nil:
		return nil, fmt.Errorf("listen %s: upstream is no URL; want http://host:port", l.Address)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("listen %s: upstream has scheme %q; want http or https", l.Address, u.Scheme)
	case u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("listen %s: upstream has more or less than a host; want %s://host:port", l.Address, u.Scheme)
	case u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("listen %s: upstream has a path; requests keep their own, want %s://%s", l.Address, u.Scheme, u.Host)
	}
	return u, nil
}

// port returns the port that a socket's clients dialled.
func (l Listen) port(bound net.Addr) int {
	if l.Port != 0 {
		return l.Port
	}
	a, err := netip.ParseAddrPort(bound.String())
	if err != nil {
		return 0
	}
	return int(a.Port())
}
