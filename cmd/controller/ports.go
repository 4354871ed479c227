package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/bearerguard/bearerguard/api/fair"
	"github.com/bearerguard/bearerguard/controllers/certs"
)

// portLimits bound the connections of each of the ports of webhooks, metrics and health. Any pod reaches those; those whom they are for,
// API servers, Prometheus and a kubelet, are few and have few.
var portLimits = fair.Limits{All: 1024, Place: 256}

// unread is how many bytes of bodies may lie in the memory of a connection of HTTP/2 before anybody reads them.
const unread = 64 << 10

// farewell is how long what runs when the controller ends may take.
var farewell = 10 * time.Second

// open opens a port. The error names the flag.
func open(ctx context.Context, flag, address string) (net.Listener, error) {
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return fair.Limit(lis, portLimits), nil
}

// server serves h on lis, with TLS where conf is not nil.
func server(name string, lis net.Listener, conf *tls.Config, h http.Handler) *manager.Server {
	if conf != nil {
		conf.NextProtos = []string{"h2", "http/1.1"}
		lis = tls.NewListener(lis, conf)
	}
	return &manager.Server{Name: name, Listener: lis, ShutdownTimeout: &farewell, Server: &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 90 * time.Second, MaxHeaderBytes: 64 << 10,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 128, MaxReceiveBufferPerConnection: unread, MaxReceiveBufferPerStream: unread},
		ErrorLog: log.New(serverLog{ctrl.Log.WithName(name)}, "", 0),
	}}
}

// serverLog takes what net/http has to say. What callers do wrong is for debugging: who sends garbage would write our log.
type serverLog struct{ log logr.Logger }

// Write logs one message.
func (l serverLog) Write(b []byte) (int, error) {
	level := 0
	if bytes.Contains(b, []byte("TLS handshake error")) {
		level = 1
	}
	l.log.V(level).Info("server", "message", string(bytes.TrimSpace(b)))
	return len(b), nil
}

// admission is the server of the webhooks: that of the manager, on a port of ours.
type admission struct {
	*ctrlwebhook.DefaultServer
	mux     *http.ServeMux
	address string
	serving *certs.Certs // set before it starts
	opened  atomic.Bool
}

var _ ctrlwebhook.Server = (*admission)(nil)

func newAdmission(port int) *admission {
	mux := http.NewServeMux()
	return &admission{
		DefaultServer: &ctrlwebhook.DefaultServer{Options: ctrlwebhook.Options{Port: port, WebhookMux: mux}}, mux: mux, address: net.JoinHostPort("", strconv.Itoa(port)),
	}
}

// Start implements ctrlwebhook.Server.
func (a *admission) Start(ctx context.Context) error {
	lis, err := open(ctx, "webhook-port", a.address)
	if err != nil {
		return err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	a.serving.TLS(conf)
	a.opened.Store(true) // who dials from now on is answered
	return server("webhooks", lis, conf, a.mux).Start(ctx)
}

// StartedChecker implements ctrlwebhook.Server. It asks nothing of the port: whoever asks for /readyz would fill that.
func (a *admission) StartedChecker() healthz.Checker {
	return func(*http.Request) error {
		if !a.opened.Load() {
			return errors.New("the port of the webhooks is not open yet")
		}
		return nil
	}
}

// addPorts adds the ports of metrics and health.
func addPorts(ctx context.Context, mgr manager.Manager, c config, serving *certs.Certs, hooks *admission, health *probes) error {
	return errors.Join(
		addMetrics(ctx, mgr, c.metrics, serving),
		health.addReady("certificates", serving.Check), health.addReady("webhooks", hooks.StartedChecker()), health.add(ctx, mgr, c.health),
	)
}

// addMetrics adds the port of metrics, for those who may read them.
func addMetrics(ctx context.Context, mgr manager.Manager, address string, serving *certs.Certs) error {
	if address == "0" {
		return nil
	}
	filter, err := filters.WithAuthenticationAndAuthorization(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return err
	}
	h, err := filter(ctrl.Log.WithName("metrics"), promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	if err != nil {
		return err
	}
	lis, err := open(ctx, "metrics-bind-address", address)
	if err != nil {
		return err
	}
	conf, mux := &tls.Config{MinVersion: tls.VersionTLS13}, http.NewServeMux()
	serving.TLS(conf)
	mux.Handle("/metrics", h)
	return mgr.Add(server("metrics", lis, conf, mux))
}

// probes are what kubelets ask. All checks are added before the manager starts.
type probes struct{ live, ready map[string]healthz.Checker }

func newProbes() *probes {
	return &probes{live: map[string]healthz.Checker{"ping": healthz.Ping}, ready: map[string]healthz.Checker{}}
}

// addReady adds a check of readiness.
func (p *probes) addReady(name string, check healthz.Checker) error {
	if p.ready[name] != nil {
		return errors.New("there is a check " + name + " already")
	}
	p.ready[name] = check
	return nil
}

// add adds the port of health, unless address is 0.
func (p *probes) add(ctx context.Context, mgr manager.Manager, address string) error {
	if address == "0" {
		return nil
	}
	lis, err := open(ctx, "health-probe-bind-address", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for path, checks := range map[string]map[string]healthz.Checker{"/healthz": p.live, "/readyz": p.ready} {
		h := http.StripPrefix(path, &healthz.Handler{Checks: checks})
		mux.Handle(path, h)
		mux.Handle(path+"/", h)
	}
	return mgr.Add(server("health", lis, nil, mux))
}
