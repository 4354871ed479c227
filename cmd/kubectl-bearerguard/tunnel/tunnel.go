// Package tunnel reaches a port of a pod through the API server, as kubectl port-forward does, but opens no port on this machine:
// nobody else who uses it can get in.
package tunnel

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Timeout is how long a request may take, with the way there.
const Timeout = 15 * time.Second

// Client returns a client whose every connection is to this port of the pod, on its loopback, whatever a URL's host is. It is safe for
// concurrent use.
func Client(config *rest.Config, pod types.NamespacedName, port int) (*http.Client, error) {
	dialer, err := newDialer(config, pod)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout: Timeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dial(ctx, dialer, port)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Dial opens one connection to a port of the pod, on its loopback. Its deadlines do nothing: close it when its time is over.
func Dial(ctx context.Context, config *rest.Config, pod types.NamespacedName, port int) (net.Conn, error) {
	dialer, err := newDialer(config, pod)
	if err != nil {
		return nil, err
	}
	return dial(ctx, dialer, port)
}

// newDialer tries WebSockets first, which proxies let through, and then SPDY, which is all that API servers before 1.31 know.
func newDialer(config *rest.Config, pod types.NamespacedName) (httpstream.Dialer, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	u := clients.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	old, err := spdyDialer(config, u)
	if err != nil {
		return nil, err
	}
	sockets, err := portforward.NewSPDYOverWebsocketDialerForStreaming(u, config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(sockets, old, noSockets), nil
}

// noSockets reports whether WebSockets are not taken on the way.
func noSockets(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

func spdyDialer(config *rest.Config, u *url.URL) (httpstream.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	return spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport, Timeout: Timeout}, http.MethodPost, u), nil
}

// dial opens a connection. The library knows no context, so a dial that takes too long goes on by itself, and what it opens is closed.
func dial(ctx context.Context, d httpstream.Dialer, port int) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := open(d, port)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.conn != nil {
				_ = r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

func open(d httpstream.Dialer, port int) (net.Conn, error) {
	whole, _, err := d.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	c := &connection{whole: whole}
	for _, s := range []struct {
		kind string
		to   *httpstream.Stream
	}{{corev1.StreamTypeError, &c.fault}, {corev1.StreamTypeData, &c.data}} {
		h := http.Header{}
		h.Set(corev1.StreamType, s.kind)
		h.Set(corev1.PortHeader, strconv.Itoa(port))
		h.Set(corev1.PortForwardRequestIDHeader, "0")
		if *s.to, err = whole.CreateStream(h); err != nil {
			_ = whole.Close()
			return nil, fmt.Errorf("open a stream to port %d: %w", port, err)
		}
	}
	_ = c.fault.Close() // nothing is written to it
	c.told = make(chan struct{})
	go c.listen()
	return c, nil
}

// connection is a stream to the pod.
type connection struct {
	whole       httpstream.Connection
	data, fault httpstream.Stream
	told        chan struct{} // closed once the other side has said what is wrong, or that nothing is
	why         string        // what it has said; read after told
	once        sync.Once
}

var _ net.Conn = (*connection)(nil)

// mostSaid is how much is read of what the other side says is wrong, in bytes.
const mostSaid = 4096

func (c *connection) listen() {
	defer close(c.told)
	text, _ := io.ReadAll(io.LimitReader(c.fault, mostSaid))
	if c.why = strings.TrimSpace(string(text)); c.why != "" {
		_ = c.data.Reset() // there will be no answer
	}
}

// Read reads what the pod sends.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	if n > 0 || err == nil {
		return n, nil
	}
	select {
	case <-c.told:
	case <-time.After(time.Second):
		return 0, err
	}
	if c.why != "" {
		return 0, fmt.Errorf("the node says: %s", c.why)
	}
	return 0, err
}

// Write sends to the pod.
func (c *connection) Write(p []byte) (int, error) { return c.data.Write(p) }

// Close ends the connection.
func (c *connection) Close() (err error) {
	c.once.Do(func() { err = c.whole.Close() })
	return err
}

// LocalAddr is none that could be told.
func (c *connection) LocalAddr() net.Addr { return address{} }

// RemoteAddr is none that could be told.
func (c *connection) RemoteAddr() net.Addr { return address{} }

// SetDeadline does nothing: http.Client closes the connection when its time is over.
func (c *connection) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, as SetDeadline.
func (c *connection) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, as SetDeadline.
func (c *connection) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

// Network names the way.
func (address) Network() string { return "portforward" }

// String names the other end.
func (address) String() string { return "pod" }
