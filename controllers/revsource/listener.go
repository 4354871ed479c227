package revsource

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/api/fair"
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
	err := server.ServeTLS(fair.Limit(lis, fair.Limits{All: maxConnections, Place: maxOfAddress, Of: fair.Place}), "", "")
	if ctx.Err() == nil {
		return err
	}
	<-stopped
	return nil
}
