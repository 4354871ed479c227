package push

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/controllers/push/reportv1"
)

const (
	maxMessage = 1 << 20 // bytes that a caller may send at once
	// maxHeaders bounds the metadata of one stream, in bytes (RFC 9113 section 10.5.1): a token and little else. gRPC would
	// take 16 MiB of it from anybody, before the token is looked at.
	maxHeaders = 32 << 10
	// window is how much a caller may send that has not been read yet, in bytes: the least that there is.
	window = 64<<10 - 1
	// maxIdle is how long a connection may be open without a stream.
	maxIdle  = time.Minute
	farewell = 2 * time.Second
)

// How a sidecar is noticed that was cut off without a word. The kernel asks a connection that is silent whether the other end is
// there, and gives up one that has not answered for longer than unanswered at the question after that: some 8 s after the last
// word. That costs a packet each way every 4 s and wakes no goroutine, neither here nor there. gRPC asks too, which costs a system call
// and a record of TLS at each end, so it does that less often: it finds those whose kernel answers although they hang.
const (
	silence    = 4 * time.Second
	between    = 2 * time.Second
	unanswered = 7 * time.Second // gRPC makes it the connection's TCP_USER_TIMEOUT, so it holds for what was sent as well
	hangs      = 30 * time.Second
)

// Listen listens on a TCP address for Serve.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence, Interval: between, Count: 2}}
	return lc.Listen(ctx, "tcp", address)
}

// Serve serves sidecars and other replicas on lis, made by Listen, with the certificates of conf until ctx is done. Then every stream ends,
// and sidecars go on with what they have.
func (s *Server) Serve(ctx context.Context, lis net.Listener, conf *tls.Config, peers Peers) error {
	conf = conf.Clone()
	conf.ClientAuth = tls.RequestClientCert // replicas present one, sidecars none; checked where it matters
	g := grpc.NewServer(
		grpc.Creds(newHandshakes(conf, newTurns(handshakesAtATime), newStrangers(s.config.Strangers))),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		// A buffer for reading would hold 32 KiB a sidecar that has hardly anything to say; TLS has one as large as it needs.
		grpc.ReadBufferSize(0),
		// Headers come once on a connection, so a table of them would only keep them, and the token with them, in memory.
		grpc.HeaderTableSize(0),
		// Sidecars say little. gRPC would measure the connection with a ping, and its answer, at each message to find a better window.
		grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window),
		grpc.MaxConcurrentStreams(16),
		grpc.ConnectionTimeout(handshakeStep),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: maxIdle, Time: hangs, Timeout: unanswered}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	pushv1.RegisterPushServer(g, s)
	reportv1.RegisterReportsServer(g, &reports{server: s, known: func(i credentials.TLSInfo) error { return peers.check(i.State) }})
	go s.spread(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		s.endAll()
		force := time.AfterFunc(farewell, g.Stop)
		defer force.Stop()
		g.GracefulStop()
	}()
	err := g.Serve(lis)
	if ctx.Err() == nil {
		return err
	}
	<-stopped
	return nil
}
