package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/bearerguard/bearerguard/api/probe"
)

// runProbe asks the app on 127.0.0.1. An error says what was wrong.
func runProbe(ctx context.Context, p probe.Probe) error {
	switch {
	case p.HTTPGet != nil:
		return probeHTTP(ctx, p.HTTPGet)
	case p.GRPC != nil:
		return probeGRPC(ctx, p.GRPC)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", local(p.TCPSocket.Port))
	if err != nil {
		return err
	}
	return conn.Close()
}

// probeClient makes a connection for each probe, so that it tells of the app as it is now. As with the kubelet, a
// certificate is not verified, a redirect to the same host is followed, and one to another host is an answer.
func probeClient() *http.Client {
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
			DisableKeepAlives: true, DisableCompression: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}, //nolint:gosec // loopback; see above
		},
	}
}

func probeHTTP(ctx context.Context, p *probe.HTTPGet) error {
	path := "/" + strings.TrimPrefix(p.Path, "/")
	scheme := strings.ToLower(cmp.Or(p.Scheme, "HTTP"))
	url := scheme + "://" + local(p.Port) + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("the probe's path is no path")
	}
	request.Header.Set("User-Agent", "kube-probe/bearerguard")
	for _, h := range p.HTTPHeaders {
		if strings.EqualFold(h.Name, "Host") {
			request.Host = h.Value
			continue
		}
		request.Header.Add(h.Name, h.Value)
	}
	response, err := probeClient().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 10<<10))
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("the app answers %d; want 200 to 399", response.StatusCode)
	}
	return nil
}

func probeGRPC(ctx context.Context, p *probe.GRPC) error {
	conn, err := grpc.NewClient("passthrough:///"+local(p.Port), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: p.Service})
	if err != nil {
		return err
	}
	if got := answer.GetStatus(); got != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("the app answers %s; want SERVING", got)
	}
	return nil
}

func local(port int32) string { return "127.0.0.1:" + strconv.Itoa(int(port)) }
