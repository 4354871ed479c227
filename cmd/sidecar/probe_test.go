package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/bearerguard/bearerguard/api/probe"
)

// asKubelet is a prober in a pod whose address nothing listens on, so that whatever arrives was sent to the app's own.
func asKubelet() prober {
	return prober{app: netip.MustParseAddr("127.0.0.1"), pod: "192.0.2.7", agent: "kube-probe/1.33"}
}

func portOf(t *testing.T, address string) int32 {
	t.Helper()
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return int32(a.Port())
}

// What arrives at the app is what Kubernetes' pkg/probe/http sends.
func TestProbesArriveAsTheKubeletsDo(t *testing.T) {
	t.Parallel()
	type seen struct {
		Target, Host string
		Header       http.Header
	}
	header := func(pairs ...string) http.Header {
		h := http.Header{"User-Agent": {"kube-probe/1.33"}, "Accept": {"*/*"}, "Connection": {"close"}}
		for i := 0; i < len(pairs); i += 2 {
			if h.Del(pairs[i]); pairs[i+1] != "" {
				h[pairs[i]] = strings.Split(pairs[i+1], "|")
			}
		}
		return h
	}
	for name, tc := range map[string]struct {
		path    string
		headers []probe.Header
		want    seen
	}{
		"a plain one":                      {"/ok", nil, seen{"/ok", "192.0.2.7:PORT", header()}},
		"with a query":                     {"/ok?deep=1", nil, seen{"/ok?deep=1", "192.0.2.7:PORT", header()}},
		"with a path that lacks its slash": {"ok", nil, seen{"/ok", "192.0.2.7:PORT", header()}},
		"with no path":                     {"", nil, seen{"/", "192.0.2.7:PORT", header()}},
		"with a whole URL for a path":      {"http://elsewhere.example/ok?a", nil, seen{"/ok?a", "192.0.2.7:PORT", header()}},
		"with an encoded path":             {"/a%2Fb", nil, seen{"/a%2Fb", "192.0.2.7:PORT", header()}},
		"with a name of its own":           {"/ok", []probe.Header{{Name: "user-agent", Value: "my-probe/1"}}, seen{"/ok", "192.0.2.7:PORT", header("User-Agent", "my-probe/1")}},
		"with an empty name":               {"/ok", []probe.Header{{Name: "User-Agent"}}, seen{"/ok", "192.0.2.7:PORT", header("User-Agent", "")}},
		"with a host":                      {"/ok", []probe.Header{{Name: "host", Value: "shop.example"}}, seen{"/ok", "shop.example", header()}},
		"with Accept of its own":           {"/ok", []probe.Header{{Name: "Accept", Value: "text/plain"}}, seen{"/ok", "192.0.2.7:PORT", header("Accept", "text/plain")}},
		"with Accept left out":             {"/ok", []probe.Header{{Name: "Accept"}}, seen{"/ok", "192.0.2.7:PORT", header("Accept", "")}},
		"with a field twice": {"/ok", []probe.Header{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}},
			seen{"/ok", "192.0.2.7:PORT", header("X-A", "1|2")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got seen
			app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = seen{r.RequestURI, r.Host, r.Header}
			}))
			defer app.Close()
			address := app.Listener.Addr().String()
			what := probe.Probe{HTTPGet: &probe.HTTPGet{Scheme: "HTTP", Port: portOf(t, address), Path: tc.path, HTTPHeaders: tc.headers}}
			if err := asKubelet().run(t.Context(), what); err != nil {
				t.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(address)
			tc.want.Host = strings.Replace(tc.want.Host, "PORT", port, 1)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-kubelet +sidecar):\n%s", diff)
			}
		})
	}
}

func TestProbesJudgeAnswersAsTheKubeletDoes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a redirect to the pod itself is followed": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "http://"+r.Host+"/broken", http.StatusFound)
				return
			}
			w.WriteHeader(http.StatusInternalServerError)
		}, "the app answers 500; want 200 to 399"},
		"a redirect elsewhere is an answer": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		}, ""},
		"an answer that breaks off is none": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("a"))
		}, "read the app's answer: unexpected EOF"},
		"an answer that never ends is one": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 4096))
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := httptest.NewServer(tc.answer)
			defer app.Close()
			got := ""
			if err := asKubelet().run(t.Context(), probe.Probe{HTTPGet: &probe.HTTPGet{Port: portOf(t, app.Listener.Addr().String()), Path: "/"}}); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestProbesOverTLSOfferHTTP2(t *testing.T) {
	t.Parallel()
	protocol := ""
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocol = r.Proto }))
	app.EnableHTTP2, app.TLS = true, &tls.Config{MinVersion: tls.VersionTLS12}
	app.StartTLS()
	defer app.Close()
	what := probe.Probe{HTTPGet: &probe.HTTPGet{Scheme: "HTTPS", Port: portOf(t, app.Listener.Addr().String()), Path: "/"}}
	if err := asKubelet().run(t.Context(), what); err != nil || protocol != "HTTP/2.0" {
		t.Errorf("%v, %s; want HTTP/2.0", err, protocol)
	}
}

// health is an app's health service.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	seen metadata.MD
}

func (h *health) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	h.seen, _ = metadata.FromIncomingContext(ctx)
	status := grpc_health_v1.HealthCheckResponse_SERVING
	if r.Service == "down" {
		status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	return &grpc_health_v1.HealthCheckResponse{Status: status}, nil
}

func TestProbesOfGRPCAreTheKubelets(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	lis, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app, h := grpc.NewServer(), &health{}
	grpc_health_v1.RegisterHealthServer(app, h)
	go func() { _ = app.Serve(lis) }()
	defer app.Stop()
	port := portOf(t, lis.Addr().String())
	if err := asKubelet().run(t.Context(), probe.Probe{GRPC: &probe.GRPC{Port: port, Service: "orders"}}); err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(lis.Addr().String())
	if got := h.seen.Get(":authority"); len(got) != 1 || got[0] != "192.0.2.7:"+text {
		t.Errorf("authority %q", got)
	}
	if got := h.seen.Get("user-agent"); len(got) != 1 || !strings.HasPrefix(got[0], "kube-probe/1.33 grpc-go/") {
		t.Errorf("user agent %q", got)
	}
	err = asKubelet().run(t.Context(), probe.Probe{GRPC: &probe.GRPC{Port: port, Service: "down"}})
	if err == nil || err.Error() != "the app answers NOT_SERVING; want SERVING" {
		t.Errorf("got %v", err)
	}
}

// Who may ask for a probe is anybody; what he says of himself reaches the app only if a kubelet says it.
func TestWhoAsksForAProbe(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParseAddr("127.0.0.1")
	for name, tc := range map[string]struct {
		agent string
		app   netip.Addr
		local net.Addr
		want  prober
	}{
		"a kubelet, where nothing says where the app is": {
			"kube-probe/1.35", netip.Addr{}, &net.TCPAddr{IP: net.ParseIP("10.1.2.3"), Port: 15081},
			prober{netip.MustParseAddr("10.1.2.3"), "10.1.2.3", "kube-probe/1.35"},
		},
		"a kubelet, at an IPv6 address, where nothing says where the app is": {
			"kube-probe/1.35", netip.Addr{}, &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 15081},
			prober{netip.MustParseAddr("2001:db8::7"), "2001:db8::7", "kube-probe/1.35"},
		},
		"a kubelet, at the pod's address":    {"kube-probe/1.35", loopback, &net.TCPAddr{IP: net.ParseIP("10.1.2.3"), Port: 15081}, prober{loopback, "10.1.2.3", "kube-probe/1.35"}},
		"a kubelet, at its IPv6 address":     {"kube-probe/1.35", loopback, &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 15081}, prober{loopback, "2001:db8::7", "kube-probe/1.35"}},
		"somebody else":                      {"curl/8", loopback, &net.TCPAddr{IP: net.ParseIP("10.1.2.3"), Port: 15081}, prober{loopback, "10.1.2.3", "kube-probe/bearerguard"}},
		"somebody else who has much to tell": {"kube-probe/" + strings.Repeat("x", 64), loopback, nil, prober{loopback, "127.0.0.1", "kube-probe/bearerguard"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if tc.local != nil {
				ctx = context.WithValue(ctx, http.LocalAddrContextKey, tc.local)
			}
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://evil.example/probe/app/liveness", http.NoBody)
			r.Header.Set("User-Agent", tc.agent)
			if got := proberFor(r, tc.app); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestProbesReachAppsOnOtherAddresses(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	lis, err := lc.Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	defer lis.Close()
	what := probe.Probe{TCPSocket: &probe.TCPSocket{Port: portOf(t, lis.Addr().String())}}
	p := asKubelet()
	if p.run(t.Context(), what) == nil {
		t.Error("127.0.0.1 stands for ::1")
	}
	p.app = netip.IPv6Loopback()
	if err := p.run(t.Context(), what); err != nil {
		t.Error(err)
	}
}
