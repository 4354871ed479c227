package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/logqueue"
	"github.com/bearerguard/bearerguard/sidecar/authz"
	"github.com/bearerguard/bearerguard/sidecar/config"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

func serveCommand(lines *logqueue.Queue) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer gateways that ask whether a request may pass.",
		Long: `Answer gateways that ask whether a request may pass, by the same policies as a sidecar, and forward nothing.

Rules come from a folder or from the controller, as for run. A policy that asks for what a gateway cannot be told is not
loaded: see docs/ext-authz.md. Each flag can be given as an environment variable too, as for run.`,
		Example: `  sidecar serve --policies ./policies --ext-authz :9001
  sidecar serve --policies ./policies --forward-auth :9002 --forward-auth-headers x-forwarded`,
		Args: cobra.NoArgs,
	}
	parse := config.ServeFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, err := parse()
		if err != nil {
			return err
		}
		log, err := lines.OfProgram(conf.LogFormat, conf.LogLevel)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		return serve(ctx, conf, log, lines)
	}
	return c
}

func serve(ctx context.Context, conf config.Config, log logr.Logger, lines *logqueue.Queue) error {
	s, err := newSidecar(conf, log, lines)
	if err != nil {
		return err
	}
	means := authz.Means{ForwardAuth: conf.Serve.ForwardAuth != "", Port: conf.Serve.AppPort != 0, Promises: conf.Serve.GatewayDoes}
	s.refuses = func(b *bundle.Bundle) error { return means.Unenforceable(b.Policies) }
	if err := s.openRules(ctx); err != nil {
		return err
	}
	tls, err := conf.TLS.Server(func(err error) { log.Error(err, "the new certificate cannot be used; the old one stays") })
	if err != nil {
		return err
	}
	l := conf.Limits
	if s.server, err = authz.New(ctx, authz.Config{
		Gate: s.gate, ExtAuthz: conf.Serve.ExtAuthz, CheckHeaders: conf.Serve.CheckHeaders, ForwardAuth: conf.Serve.ForwardAuth, Convention: conf.Serve.Convention, Port: conf.Serve.AppPort, TLS: tls,
		Limits: authz.Limits{
			HeadBytes: l.HeadBytes, Fields: l.Fields, URL: l.URL,
			Connections: l.Connections, Calls: l.HTTP2Requests, Streams: l.Streams,
			ReadHead: l.ReadHead, Idle: l.Idle, Write: l.Write, Linger: l.Linger, Drain: l.Drain,
		},
		Ready:    func() bool { return s.unready() == "" },
		Tracer:   s.tracer,
		Observer: s.newAsked(), Log: log.WithName("authz"),
	}); err != nil {
		return err
	}
	log.Info("sidecar serves", "version", version, "listen", addresses(s.server), "admin", conf.Admin)
	return s.serve(ctx)
}

// asked is the observer of questions: it counts by what protocol they come, besides what it counts of requests.
type asked struct {
	observer

	checks *prometheus.CounterVec
}

func (s *sidecar) newAsked() asked {
	a := asked{observer{s.metrics, s.decided, s.budget}, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bearerguard_checks_total", Help: "Questions of gateways, by the protocol that they came by.",
	}, []string{"protocol", "decision"})}
	s.reg.MustRegister(a.checks)
	return a
}

// Request implements authz.Observer.
func (a asked) Request(r *telemetry.Record) {
	decision := "deny"
	if r.Forwarded || r.Reason.Answered() {
		decision = "allow"
	}
	a.checks.WithLabelValues(r.Protocol, decision).Inc()
	a.observer.Request(r)
}
