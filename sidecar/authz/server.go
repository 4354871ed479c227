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
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// Config is what a Server is made from.
type Config struct {
	// Gate judges every request.
	Gate *gate.Gate
	// ExtAuthz is the address for gateways that ask as Envoy does, by gRPC; empty: none.
	ExtAuthz string
	// CheckHeaders is the form of headers that they may send; default RawHeaders.
	CheckHeaders CheckHeaders
	// ForwardAuth is the address for gateways that ask by HTTP; empty: none.
	ForwardAuth string
	// Convention is theirs.
	Convention Convention
	// Port is the one that rules see; 0: it is not known.
	Port int
	// Ready says whether gateways that check health are told to ask here; nil: once the gate is ready.
	Ready func() bool
	// Limits bound what gateways may use; every field has to be set.
	Limits Limits
	// TLS, if not nil, is served on every port.
	TLS *tls.Config
	// Observer is told of every request and connection.
	Observer Observer
	// Tracer traces requests; nil: none is.
	Tracer *tracing.Tracer
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
	ports    []port
	draining atomic.Bool
}

// port is what answers on one address.
type port struct {
	net.Listener

	serve func(net.Listener) error
	// retire asks for the end of connections from now on; nil: it cannot.
	retire func()
	// drain stops taking questions, and ends what is left when ctx ends. It returns false if there was any.
	drain func(ctx context.Context) bool
}

// New opens the ports.
func New(ctx context.Context, c Config) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Ready == nil {
		c.Ready = c.Gate.Ready
	}
	s := &Server{c: c, judge: judge{gate: c.Gate, observe: c.Observer.Request, tracer: c.Tracer, now: c.Now, port: c.Port, most: int64(c.Limits.Calls)}}
	if c.ExtAuthz != "" {
		if err := s.open(ctx, c.ExtAuthz, s.extAuthz()); err != nil {
			return nil, fmt.Errorf("--ext-authz: %w", err)
		}
	}
	if c.ForwardAuth != "" {
		if err := s.open(ctx, c.ForwardAuth, s.forwardAuth()); err != nil {
			s.close()
			return nil, fmt.Errorf("--forward-auth: %w", err)
		}
	}
	return s, nil
}

func (s *Server) open(ctx context.Context, address string, p port) error {
	var err error
	if p.Listener, err = s.listen(ctx, address); err == nil {
		s.ports = append(s.ports, p)
	}
	return err
}

// close closes the ports that are open.
func (s *Server) close() {
	for _, p := range s.ports {
		_ = p.Close()
	}
}

func (s *Server) extAuthz() port {
	server := newExtAuthzServer(&extAuthz{judge: &s.judge, headers: s.c.CheckHeaders, limits: s.c.Limits}, &s.c, s.ready)
	return port{serve: server.Serve, drain: func(ctx context.Context) bool {
		stop := context.AfterFunc(ctx, server.Stop)
		server.GracefulStop()
		return stop()
	}}
}

func (s *Server) forwardAuth() port {
	server := newForwardAuthServer(&forwardAuth{judge: &s.judge, convention: s.c.Convention, limits: s.c.Limits}, s.c.Limits)
	server.TLSConfig, server.ErrorLog = s.c.TLS, log.New(logWriter{s.c.Log}, "", 0)
	return port{
		serve: func(l net.Listener) error {
			var err error
			if server.TLSConfig != nil {
				err = server.ServeTLS(l, "", "")
			} else {
				err = server.Serve(l)
			}
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return err
		},
		retire: func() { server.SetKeepAlivesEnabled(false) },
		drain: func(ctx context.Context) bool {
			if server.Shutdown(ctx) == nil {
				return true
			}
			_ = server.Close()
			return false
		},
	}
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
func (s *Server) Addrs() []net.Addr {
	var out []net.Addr
	for _, p := range s.ports {
		out = append(out, p.Addr())
	}
	return out
}

// ready reports whether gateways may ask.
func (s *Server) ready() bool { return s.c.Ready() && !s.Draining() }

// Draining reports whether the server has been told to stop, and so must not be sent new connections.
func (s *Server) Draining() bool { return s.draining.Load() }

// Run answers until ctx ends, and then for as long as Limits.Linger; what runs then may finish for as long as Limits.Drain. It
// returns nil after an orderly end.
func (s *Server) Run(ctx context.Context) error {
	group, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	for _, p := range s.ports {
		group.Go(func() error { return p.serve(p.Listener) })
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
			s.draining.Store(true)
			s.linger(failed)
		case <-failed.Done():
		}
		s.c.Log.Info("draining", "atMost", s.c.Limits.Drain.String())
		s.drain(context.WithoutCancel(ctx))
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
	for _, p := range s.ports {
		if p.retire != nil {
			p.retire()
		}
	}
	select {
	case <-time.After(s.c.Limits.Linger):
	case <-ctx.Done():
	}
}

// drain drains all ports.
func (s *Server) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Limits.Drain)
	defer cancel()
	var all sync.WaitGroup
	for _, p := range s.ports {
		all.Go(func() {
			if !p.drain(ctx) {
				s.c.Log.Info("drain ended before all connections did")
			}
		})
	}
	all.Wait()
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
