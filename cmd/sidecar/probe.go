package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/bearerguard/bearerguard/api/probe"
)

// prober runs the app's own probes as a kubelet does: what the app is sent is what the kubelet would send it.
type prober struct {
	// app is where the app is reached.
	app netip.Addr
	// pod is the address that the kubelet asked us at, which it would name the app by; agent is what it calls itself.
	pod, agent string
}

// proberFor returns what runs a probe that r asks for. Who asks is not known, so that of what r says only a name of a
// kubelet counts, and the address is that of our end of the connection: there the app is asked too, unless app says where.
func proberFor(r *http.Request, app netip.Addr) prober {
	p := prober{app: app, agent: "kube-probe/bearerguard"}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		address := local.AddrPort().Addr().Unmap()
		p.pod = address.WithZone("").String()
		if !app.IsValid() {
			p.app = address
		}
	}
	if !p.app.IsValid() {
		p.app = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if p.pod == "" {
		p.pod = p.app.String()
	}
	if agent := r.UserAgent(); strings.HasPrefix(agent, "kube-probe/") && len(agent) <= 64 {
		p.agent = agent
	}
	return p
}

// run asks the app. An error says what was wrong.
func (p prober) run(ctx context.Context, what probe.Probe) error {
	switch {
	case what.HTTPGet != nil:
		return p.http(ctx, what.HTTPGet)
	case what.GRPC != nil:
		return p.grpc(ctx, what.GRPC)
	}
	conn, err := p.dial(ctx, "tcp", p.address(what.TCPSocket.Port))
	if err != nil {
		return err
	}
	return conn.Close()
}

// address returns what a kubelet would connect to for a port.
func (p prober) address(port int32) string { return net.JoinHostPort(p.pod, strconv.Itoa(int(port))) }

// dial connects to the app, whatever host of the pod's address names.
func (p prober) dial(ctx context.Context, _, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", net.JoinHostPort(p.app.String(), port))
}

// client makes a connection for each probe, so that it tells of the app as it is now. As with the kubelet, a certificate is
// not verified, a redirect to the same host is followed, and one to another host is an answer.
func (p prober) client() *http.Client {
	return &http.Client{
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case r.URL.Hostname() != via[0].URL.Hostname():
				return http.ErrUseLastResponse
			case len(via) >= 10:
				return errors.New("the app redirects more than 10 times")
			}
			return nil
		},
		Transport: &http.Transport{
			DialContext: p.dial, DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}, //nolint:gosec // within the pod; see above
		},
	}
}

// http asks as pkg/probe/http of Kubernetes does: a field that the probe gives takes the place of the kubelet's own, an empty
// Accept is left out, and Host is the request's host.
func (p prober) http(ctx context.Context, what *probe.HTTPGet) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url(what), http.NoBody) //nolint:gosec // the app's own probe, which the pod's owner wrote
	if err != nil {
		return errors.New("the probe's path is no path")
	}
	for _, h := range what.HTTPHeaders {
		request.Header.Add(h.Name, h.Value)
	}
	if _, ok := request.Header["User-Agent"]; !ok {
		request.Header.Set("User-Agent", p.agent)
	}
	if accept, ok := request.Header["Accept"]; !ok {
		request.Header.Set("Accept", "*/*")
	} else if accept[0] == "" {
		request.Header.Del("Accept")
	}
	request.Host = request.Header.Get("Host")
	response, err := p.client().Do(request) //nolint:gosec // as above: it dials the app alone
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 10<<10)); err != nil {
		return fmt.Errorf("read the app's answer: %w", err)
	}
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("the app answers %d; want 200 to 399", response.StatusCode)
	}
	return nil
}

// url returns what a kubelet would ask for. A path may have a query; of one that is a whole URL, path and query count.
func (p prober) url(what *probe.HTTPGet) string {
	u, err := url.Parse(what.Path)
	if err != nil {
		u = &url.URL{Path: what.Path}
	}
	u.Scheme, u.Host = "http", p.address(what.Port)
	if what.Scheme == "HTTPS" {
		u.Scheme = "https"
	}
	return u.String()
}

func (p prober) grpc(ctx context.Context, what *probe.GRPC) error {
	conn, err := grpc.NewClient("passthrough:///"+p.address(what.Port),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent(p.agent), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return p.dial(ctx, "tcp", address) }))
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: what.Service})
	if err != nil {
		return err
	}
	if got := answer.GetStatus(); got != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("the app answers %s; want SERVING", got)
	}
	return nil
}
