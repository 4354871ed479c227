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
	err := server.ServeTLS(&bounded{Listener: lis, of: map[netip.Prefix]int{}}, "", "")
	if ctx.Err() == nil {
		return err
	}
	<-stopped
	return nil
}

// bounded closes connections beyond a number, and those of an address beyond a part of that.
type bounded struct {
	net.Listener

	mu  sync.Mutex
	of  map[netip.Prefix]int // guarded by mu
	all int                  // guarded by mu
}

// Accept returns the next connection that there is room for.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p := place(c.RemoteAddr().String())
		if b.enter(p) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { b.leave(p) })}, nil
		}
		_ = c.Close()
	}
}

func (b *bounded) enter(p netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= maxConnections || b.of[p] >= maxOfAddress {
		return false
	}
	b.all++
	b.of[p]++
	return true
}

func (b *bounded) leave(p netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.of[p]--; b.of[p] == 0 {
		delete(b.of, p)
	}
}

// counted is a connection that gives its place back.
type counted struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
