package revsource

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Bounds of connections.
const (
	maxConnections = 1024
	maxOfAddress   = 256
	maxHeaderBytes = 16 << 10
	headTimeout    = 5 * time.Second
	bodyTimeout    = 10 * time.Second
	answerTimeout  = 30 * time.Second
	idleTimeout    = 30 * time.Second
	streamsAtOnce  = 32
	farewell       = 5 * time.Second
)

// Serve serves events on lis until ctx is done. Those that are being stored are answered.
func (r *Receiver) Serve(ctx context.Context, lis net.Listener, conf *tls.Config) error {
	server := &http.Server{
		Handler: r, TLSConfig: conf, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: headTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: streamsAtOnce},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // who sends garbage would write our log
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		if server.Shutdown(bye) != nil {
			_ = server.Close() // whoever has had no answer sends it again
		}
	}()
	err := server.ServeTLS(&bounded{Listener: lis, of: map[netip.Prefix]map[*counted]struct{}{}}, "", "")
	if ctx.Err() == nil {
		return err
	}
	<-stopped
	return nil
}

// bounded closes connections beyond a number, and those of an address beyond a part of that. Where there is no room left, a connection of the
// address that has most makes way for one of another, so that no few addresses keep out all others.
type bounded struct {
	net.Listener

	mu  sync.Mutex
	of  map[netip.Prefix]map[*counted]struct{} // guarded by mu
	all int                                    // guarded by mu
}

// Accept returns the next connection that there is room for.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		x := &counted{Conn: c, in: b, from: place(c.RemoteAddr().String())}
		victim, ok := b.enter(x)
		if victim != nil {
			_ = victim.Close()
		}
		if ok {
			return x, nil
		}
		_ = c.Close()
	}
}

// enter reports whether there is room for a connection, and returns one that is to be closed for it; nil: there is none.
func (b *bounded) enter(c *counted) (victim *counted, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.of[c.from]) >= maxOfAddress {
		return nil, false
	}
	if b.all >= maxConnections {
		if victim = b.most(len(b.of[c.from]) + 1); victim == nil {
			return nil, false
		}
		b.drop(victim)
	}
	if b.of[c.from] == nil {
		b.of[c.from] = map[*counted]struct{}{}
	}
	b.of[c.from][c] = struct{}{}
	b.all++
	return victim, true
}

// most returns a connection of the address that has most; nil: that has no more than some. It is called with mu held.
func (b *bounded) most(some int) (victim *counted) {
	for _, conns := range b.of {
		if len(conns) <= some {
			continue
		}
		some = len(conns)
		for victim = range conns {
			break
		}
	}
	return victim
}

// drop is called with mu held.
func (b *bounded) drop(c *counted) {
	conns := b.of[c.from]
	if _, ok := conns[c]; !ok {
		return
	}
	b.all--
	if delete(conns, c); len(conns) == 0 {
		delete(b.of, c.from)
	}
}

// counted is a connection that gives its place back.
type counted struct {
	net.Conn
	in   *bounded
	from netip.Prefix
}

// Close closes the connection.
func (c *counted) Close() error {
	c.in.mu.Lock()
	c.in.drop(c)
	c.in.mu.Unlock()
	return c.Conn.Close()
}
