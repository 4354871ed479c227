package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
)

// How a controller is noticed that was cut off without a word: as it notices sidecars. The kernel asks a connection that is
// silent, and gives it up some 8 s after the last word, which wakes no goroutine; gRPC asks less often, for a controller that hangs.
const (
	silence    = 4 * time.Second
	between    = 2 * time.Second
	unanswered = 7 * time.Second // gRPC makes it the connection's TCP_USER_TIMEOUT, so it holds for what was sent as well
	hangs      = 30 * time.Second
)

const (
	// dialWait is how long the kernel may take to connect, and connectWait how long all may take until the controller speaks HTTP/2: one
	// to which thousands come at once makes them wait for their turns, and who gives up and comes again makes it worse.
	dialWait    = 10 * time.Second
	connectWait = 45 * time.Second
	// window is how much the controller may send that has not been read yet, in bytes. That it stands fast saves a ping at each message.
	window = 1 << 20
)

// dial connects to the controller.
func dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialWait, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence, Interval: between, Count: 2}}
	return d.DialContext(ctx, "tcp", address)
}

// transport trusts the certificate authority of the file and nothing else.
func (p *Push) transport() (credentials.TransportCredentials, error) {
	pem, err := os.ReadFile(p.c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the push service's certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the push service's certificate authority: %s has no PEM certificate", p.c.CAFile)
	}
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: p.c.ServerName}), nil
}

// tokenFile is the credential of each stream: the file's content at that time, as the kubelet renews it.
type tokenFile string

var _ credentials.PerRPCCredentials = tokenFile("")

// GetRequestMetadata reads the token.
func (f tokenFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("read the sidecar's token: %w", err)
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, nil
}

// RequireTransportSecurity keeps the token off connections without TLS.
func (tokenFile) RequireTransportSecurity() bool { return true }
