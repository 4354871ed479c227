package authz

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// Config is what a Server is made from.
type Config struct {
	// Gate judges every request.
	Gate *gate.Gate
	// ForwardAuth is the address for gateways that ask by HTTP; empty: none.
	ForwardAuth string
	// Convention is theirs.
	Convention Convention
	// Port is the one that rules see; 0: it is not known.
	Port int
	// Limits bound what gateways may use; every field has to be set.
	Limits Limits
	// TLS, if not nil, is served on every port.
	TLS *tls.Config
	// Observer is told of every request and connection.
	Observer Observer
	// Log gets state changes and what goes wrong with connections.
	Log logr.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Observer is told what happens. Its methods must not block.
type Observer interface {
	// Request is called when a request's fate is settled, before anybody is told of it.
	Request(r *telemetry.Record)
	// Connection is called with +1 and -1.
	Connection(delta int)
}

// Limits bound what gateways may use.
type Limits struct {
	// HeadBytes bounds the header of a question, Fields the number of its fields, URL the length of the original target.
	HeadBytes, Fields, URL int
	// Connections bounds open connections on each port, others wait; Calls the questions that are settled at a time, others are
	// refused; Streams those of one HTTP/2 connection.
	Connections, Calls, Streams int
	// ReadHead bounds the time for a header, Idle that between questions of a connection, Write the time to take an answer.
	ReadHead, Idle, Write time.Duration
	// Linger is how long questions are answered once told to stop, Drain how long those that run may take after that.
	Linger, Drain time.Duration
}

// exceeded says whether a request is larger than the limits, and which one it exceeds.
func (l *Limits) exceeded(r *gate.Request, h http.Header, no *decision.Refusal) bool {
	fields := 0
	for _, values := range h {
		fields += len(values)
	}
	switch {
	case len(r.Target) > l.URL:
		no.Reason = decision.URITooLong
	case fields > l.Fields:
		no.Reason = decision.TooLarge
	default:
		return false
	}
	return true
}

// Server answers questions about requests. Make it with New; it runs once.
type Server struct {
	c        Config
	judge    judge
	listener net.Listener
	http     *http.Server
	draining atomic.Bool
}

// New opens the ports.
func New(ctx context.Context, c Config) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{c: c, judge: judge{gate: c.Gate, observe: c.Observer.Request, now: c.Now, port: c.Port, most: int64(c.Limits.Calls)}}
	var err error
	if s.listener, err = s.listen(ctx, c.ForwardAuth); err != nil {
		return nil, fmt.Errorf("--forward-auth: %w", err)
	}
	s.http = newForwardAuthServer(&forwardAuth{judge: &s.judge, convention: c.Convention, limits: c.Limits}, c.Limits)
	s.http.TLSConfig = c.TLS
	s.http.ErrorLog = log.New(logWriter{c.Log}, "", 0)
	return s, nil
}

// listen opens a port, with a bound on its connections.
func (s *Server) listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &counted{netutil.LimitListener(l, s.c.Limits.Connections), s.c.Observer.Connection}, nil
}

// Addrs returns the addresses that are listened on.
func (s *Server) Addrs() []net.Addr { return []net.Addr{s.listener.Addr()} }

// Draining reports whether the server has been told to stop, and so must not be sent new connections.
func (s *Server) Draining() bool { return s.draining.Load() }

// Run answers until ctx ends, and then for as long as Limits.Linger; what runs then may finish for as long as Limits.Drain. It
// returns nil after an orderly end.
func (s *Server) Run(ctx context.Context) error {
	group, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	group.Go(s.serve)
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-failed.Done():
			return nil
		}
		s.draining.Store(true)
		s.linger(failed)
		s.c.Log.Info("draining", "atMost", s.c.Limits.Drain.String())
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.c.Limits.Drain)
		defer cancel()
		s.drain(drain)
		return nil
	})
	return group.Wait()
}

// linger goes on answering, while those who ask are told to come by another connection.
func (s *Server) linger(ctx context.Context) {
	if s.c.Limits.Linger == 0 {
		return
	}
	s.c.Log.Info("about to drain", "in", s.c.Limits.Linger.String())
	s.http.SetKeepAlivesEnabled(false)
	select {
	case <-time.After(s.c.Limits.Linger):
	case <-ctx.Done():
	}
}

func (s *Server) serve() error {
	var err error
	if s.c.TLS != nil {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// drain stops taking questions, and ends what is left when ctx ends.
func (s *Server) drain(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		s.c.Log.Info("drain ended before all connections did")
		_ = s.http.Close()
	}
}

// counted is a listener that tells how many connections are open.
type counted struct {
	net.Listener

	tell func(delta int)
}

// Accept implements net.Listener.
func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.tell(+1)
	return &countedConn{Conn: conn, tell: c.tell}, nil
}

type countedConn struct {
	net.Conn

	tell   func(delta int)
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.tell(-1)
	}
	return c.Conn.Close()
}

// logWriter gives net/http a place for its messages, which are about connections.
type logWriter struct{ log logr.Logger }

// Write logs one message at debug level.
func (w logWriter) Write(b []byte) (int, error) {
	w.log.V(1).Info("server", "message", strings.TrimSpace(string(b)))
	return len(b), nil
}
