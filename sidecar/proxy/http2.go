package proxy

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/bearerguard/bearerguard/sidecar/proxy/relay"
)

// http2Server serves connections of HTTP/2 with Go's server. They are given to it one by one, since net/http's own way to
// it keeps 8 KiB of buffers for each that HTTP/2 makes no use of. From Go 1.27 on, golang.org/x/net/http2 hands them to
// net/http in turn: what tells clients of a drain has to be looked at anew then.
type http2Server struct {
	proxy  *Proxy
	base   *http.Server
	narrow *http.Server  // what base is, with less room for bodies
	http2  *http2.Server //nolint:staticcheck // deprecated, but nothing else serves a connection of ours
	gone   chan struct{} // holds one while a connection has ended since drain looked
	places places
	calls  atomic.Int64 // requests that run

	mu       sync.Mutex
	draining bool                    // guarded by mu
	conns    map[*http2Conn]struct{} // guarded by mu
}

// Sizes of what a client may send at once, in bytes.
const (
	frameBytes  = 16 << 10  // a frame, the least there may be (RFC 9113 section 4.2): a connection keeps room for the largest it got
	wideBytes   = 256 << 10 // all bodies of a connection, before the app takes them
	narrowBytes = 65535     // the same on connections beyond the first wideConns; there may be no less (section 6.9.2)
	wideConns   = 256
)

// goAwayEvery is how often new connections are looked for that have to be told of a drain.
const goAwayEvery = 250 * time.Millisecond

func newHTTP2Server(p *Proxy) (*http2Server, error) {
	s := &http2Server{
		proxy:  p,
		base:   http2Base(p, wideBytes),
		narrow: http2Base(p, narrowBytes),
		http2:  &http2.Server{}, //nolint:staticcheck // as above
		conns:  map[*http2Conn]struct{}{},
		gone:   make(chan struct{}, 1),
		places: places{
			most: p.limits.HTTP2Connections, patience: p.limits.ReadHead,
			cause: "as many of HTTP/2 are open as may be", log: p.log,
		},
	}
	// It has base.Shutdown send GOAWAY.
	return s, http2.ConfigureServer(s.base, s.http2) //nolint:staticcheck // as above
}

// goAwayAtOnce is what a client gets whose connection is not served: a server's first frame, and its last (RFC 9113 section
// 3.4 and 6.8).
func goAwayAtOnce() []byte {
	var b bytes.Buffer // which takes all
	f := http2.NewFramer(&b, nil)
	_ = f.WriteSettings()
	_ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("too many connections"))
	return b.Bytes()
}

// http2Base is what a connection is served with that may send so many bytes of bodies at once.
func http2Base(p *Proxy, upload int) *http.Server {
	return &http.Server{
		ReadHeaderTimeout: p.limits.ReadHead,
		IdleTimeout:       p.limits.Idle,
		MaxHeaderBytes:    p.limits.HeadBytes,
		ErrorLog:          stdLog(p.log),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:      p.limits.Streams,
			MaxReadFrameSize:          frameBytes,
			MaxReceiveBufferPerStream: upload, MaxReceiveBufferPerConnection: upload,
		},
	}
}

// http2Conn is a client connection that speaks HTTP/2.
type http2Conn struct {
	proxy   *Proxy
	info    connInfo
	client  *relay.HTTP2
	net     net.Conn // a *gathered, or TLS above one
	preface bool     // has been read
	release func()

	mu     sync.Mutex
	second int64 // guarded by mu: of the time that resets are counted in, Unix
	resets int   // guarded by mu
}

// serve serves a connection from now on, and closes it. It does not wait for that.
func (s *http2Server) serve(c *http2Conn) {
	s.mu.Lock()
	taken, base := !s.draining, s.base
	if taken {
		if len(s.conns) >= wideConns {
			base = s.narrow
		}
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if taken {
		go s.run(c, base)
		return
	}
	_ = c.net.Close()
	c.release()
	s.places.leave()
}

func (s *http2Server) run(c *http2Conn, base *http.Server) {
	c.client = s.proxy.relay.NewHTTP2(c.info, c.givenUp)
	defer s.end(c)
	s.http2.ServeConn(c.net, &http2.ServeConnOpts{ //nolint:staticcheck // as above
		BaseConfig: base, Handler: c, SawClientPreface: c.preface,
	})
}

// end gives back what a connection had.
func (s *http2Server) end(c *http2Conn) {
	if recover() != nil { // what it says may quote a request
		s.proxy.log.Error(nil, "panic while serving a connection, which is closed", "stack", string(debug.Stack()))
	}
	_ = c.net.Close()
	c.client.Close()
	c.release()
	s.places.leave()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	select {
	case s.gone <- struct{}{}:
	default:
	}
}

// drain takes no more connections, tells clients to go away, and returns when they have, or with the context's error.
func (s *http2Server) drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	s.places.close()
	again := time.NewTicker(goAwayEvery)
	defer again.Stop()
	s.goAway(ctx)
	for s.open() > 0 {
		select {
		case <-s.gone:
		case <-again.C: // a connection that had just begun does not know yet
			s.goAway(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// goAway tells the clients that are there to go away. It does not wait: base has no connections of its own to wait for.
func (s *http2Server) goAway(ctx context.Context) { _ = s.base.Shutdown(ctx) }

func (s *http2Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// close ends all connections at once.
func (s *http2Server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.net.Close()
	}
}

// http2 takes over a connection whose client speaks HTTP/2 without TLS; read is what has been read of it, the preface
// first.
func (s *sockets) http2(c net.Conn, read []byte, info connInfo, release func()) {
	more := bytes.Clone(read[len(http2.ClientPreface):])
	s.proxy.http2.places.take(func() {
		s.proxy.http2.serve(&http2Conn{
			proxy: s.proxy, info: info, release: release,
			net: newGathered(relay.NewHTTP2Conn(c, more, s.proxy.limits.Write)), preface: true,
		})
	}, func() { sendAway(c, release) })
}

// sendAway ends a connection for which there is no place.
func sendAway(c net.Conn, release func()) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // the kernel has room for that little
	_, _ = c.Write(goAwayAtOnce())
	_ = c.Close()
	release()
}
