package push

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/controllers/push/reportv1"
)

const (
	maxMessage = 1 << 20 // bytes that a caller may send at once
	// maxHeaders bounds the metadata of one stream, in bytes (RFC 9113 section 10.5.1): a token and little else. gRPC would
	// take 16 MiB of it from anybody, before the token is looked at.
	maxHeaders = 32 << 10
	// maxIdle is how long a connection may be open without a stream.
	maxIdle  = time.Minute
	farewell = 2 * time.Second
)

// Key is the serving certificate that all replicas of the controller share, newest at each call.
type Key func() (*tls.Certificate, error)

// KeyOf returns the Key of a server's TLS configuration.
func KeyOf(conf *tls.Config) Key {
	return func() (*tls.Certificate, error) {
		if conf.GetCertificate != nil {
			return conf.GetCertificate(&tls.ClientHelloInfo{})
		}
		if len(conf.Certificates) == 0 {
			return nil, errors.New("no serving certificate yet")
		}
		return &conf.Certificates[0], nil
	}
}

// same reports whether the peer of a connection presented this very certificate; the handshake has proved that it holds
// the private key.
func (k Key) same(state tls.ConnectionState) bool {
	own, err := k()
	if err != nil || own == nil || len(own.Certificate) == 0 || len(state.PeerCertificates) == 0 {
		return false
	}
	return bytes.Equal(own.Certificate[0], state.PeerCertificates[0].Raw)
}

// client is the TLS configuration for calling another replica.
func (k Key) client() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The name and the issuer do not matter: VerifyConnection takes one certificate only.
		InsecureSkipVerify: true, //nolint:gosec // see VerifyConnection
		VerifyConnection: func(state tls.ConnectionState) error {
			if !k.same(state) {
				return errors.New("the other end is no replica of this controller: it serves with another certificate")
			}
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return k() },
	}
}

// Serve serves sidecars and other replicas on lis with the certificates of conf until ctx is done. Then every stream ends,
// and sidecars go on with what they have.
func (s *Server) Serve(ctx context.Context, lis net.Listener, conf *tls.Config) error {
	conf = conf.Clone()
	conf.ClientAuth = tls.RequestClientCert // replicas present one, sidecars none; checked where it matters
	key := KeyOf(conf)
	g := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(conf)),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(16),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: maxIdle, Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	pushv1.RegisterPushServer(g, s)
	reportv1.RegisterReportsServer(g, &reports{server: s, same: func(i credentials.TLSInfo) bool { return key.same(i.State) }})
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

func (s *Server) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pods := range s.namespaces {
		for _, p := range pods {
			if p.stream != nil {
				p.stream.end(status.Error(codes.Unavailable, "this replica of the controller is stopping"))
			}
		}
	}
}
