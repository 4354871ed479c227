package main

import (
	"context"
	"errors"
	"net"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/logqueue"
	"github.com/bearerguard/bearerguard/api/otlp"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/aside"
	"github.com/bearerguard/bearerguard/sidecar/config"
	"github.com/bearerguard/bearerguard/sidecar/exposure"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/introspect"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
	"github.com/bearerguard/bearerguard/sidecar/source"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

func runCommand(lines *logqueue.Queue) *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Take requests and forward what the rules allow.",
		Long: `Take requests, verify their Bearer tokens, and forward to the app what the rules allow.

Standalone, rules come from a folder of YAML files and follow its changes; in a pod, they are pushed by the controller.
Until there are rules, every request is answered with 503. Each flag can be given as an environment variable too:
--log-level is BEARERGUARD_LOG_LEVEL.`,
		Example: `  sidecar run --policies ./policies --listen :8080 --upstream http://127.0.0.1:9000
  sidecar run --push bearerguard-push.bearerguard-system.svc:8443 --redirect --listen :15080`,
		Args: cobra.NoArgs,
	}
	parse := config.Flags(c.Flags())
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
		return run(ctx, conf, log, lines)
	}
	return c
}

// sidecar is the running program's parts.
type sidecar struct {
	conf    config.Config
	log     logr.Logger
	lines   *logqueue.Queue // what log writes to
	gate    *gate.Gate
	metrics *telemetry.Metrics
	decided *telemetry.DecisionLog
	reg     *prometheus.Registry
	rules   rules
	ports   *exposure.Watch
	began   atomic.Bool // it has been ready once
	budget  *budget
	server  server
	proxy   *proxy.Proxy // the server, if it is one
	leaving *departure
	aside   *aside.State
	// settling orders what the proxy is told of leaving.
	settling sync.Mutex
	asking   *introspect.Pool
	// explaining bounds the explanations.
	explaining *rate.Limiter
	// refuses says what of a bundle cannot be enforced; nil: everything can.
	refuses func(*bundle.Bundle) error
	// tracer and exporter are nil where nothing is traced.
	tracer   *tracing.Tracer
	exporter *otlp.Exporter
}

// server is what requests come to.
type server interface {
	// Run serves until ctx is done, and then drains.
	Run(ctx context.Context) error
	// Draining reports whether it is about to stop.
	Draining() bool
	// Addrs returns what it listens on.
	Addrs() []net.Addr
}

// rules is where rules come from.
type rules interface {
	// Run follows them until ctx is done.
	Run(ctx context.Context) error
	// UnknownKey reports a key set that lacks a token's key. It returns how long it is until it can be looked at anew, and
	// false if it never is. It does not block.
	UnknownKey(keySet string) (in time.Duration, ok bool)
	// Freshness returns how new they are.
	Freshness() source.Freshness
}

func run(ctx context.Context, conf config.Config, log logr.Logger, lines *logqueue.Queue) error {
	s, err := newSidecar(conf, log, lines)
	if err != nil {
		return err
	}
	if err := s.openRules(ctx); err != nil {
		return err
	}
	if err := s.openProxy(ctx); err != nil {
		return err
	}
	s.watchPorts()
	log.Info("sidecar runs", "version", version, "listen", addresses(s.server), "admin", conf.Admin)
	return s.serve(ctx)
}

// newSidecar makes what judges, counts and logs.
func newSidecar(conf config.Config, log logr.Logger, lines *logqueue.Queue) (*sidecar, error) {
	limitMemory(log)
	memory := debug.SetMemoryLimit(-1)
	conf.CacheBytes = boundCache(conf.CacheBytes, memory, log)
	boundConnections(&conf.Limits, memory, conf.CacheBytes, conf.TLS.Cert != "" || len(conf.Listen) == 0, log)
	s := &sidecar{conf: conf, log: log, lines: lines, reg: prometheus.NewRegistry(), budget: newBudget(memory), leaving: newDeparture(), explaining: newExplaining()}
	s.gate = gate.New(gate.Options{
		MaxWaiting:       mostWaiting(conf.Limits),
		AwaitRevocations: true,
		OnUnknownKey:     func(id string) (time.Duration, bool) { return s.rules.UnknownKey(id) },
		OnPanic: func(stack []byte) {
			log.Error(errors.New("panic while judging a request; it was refused"), string(stack))
		},
	})
	s.decided = telemetry.NewDecisionLog(log.WithName("decision"), telemetry.LogOptions{
		AllowEvery: conf.LogAllowEvery, Subjects: conf.LogSubjects, Scopes: conf.LogScopes,
	})
	s.aside = aside.New(s.settle)
	s.asking = introspect.NewPool(introspect.Options{Observe: s.answered})
	var err error
	if s.metrics, err = telemetry.NewMetrics(s.reg, telemetry.Sources{
		Cache: s.cache, Freshness: s.freshness, Introspection: s.introspection, Proofs: s.proofs, Pushed: conf.Push.Address != "",
	}); err != nil {
		return nil, err
	}
	if err := lines.Register(s.reg); err != nil {
		return nil, err
	}
	s.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s, s.openTraces()
}

// mostWaiting bounds the requests that wait for keys, so that they leave half of the connections to others, and half of
// HTTP/2's requests.
func mostWaiting(l proxy.Limits) int {
	return max(1, min(gate.DefaultMaxWaiting, l.Connections/2, l.HTTP2Requests/2))
}

// openRules reads standalone rules, so that a mistake ends the program at once.
func (s *sidecar) openRules(ctx context.Context) error {
	c := s.conf
	if c.Dir != "" {
		dir := source.NewDir(source.DirConfig{
			Path: c.Dir, Namespace: c.Namespace, Labels: c.Labels, Fetch: c.Fetch, Apply: s.apply, Revoke: s.revoke,
			Checked: s.gate.Checked, Log: s.log.WithName("rules"),
		})
		s.rules = dir
		return dir.Load(ctx)
	}
	s.rules = source.NewPush(source.PushConfig{
		Address: c.Push.Address, ServerName: c.Push.ServerName, CAFile: c.Push.CAFile, TokenFile: c.Push.TokenFile,
		Release: version, Apply: s.apply, Revoke: s.revoke, Unsaved: s.metrics.Unsaved, Checked: s.gate.Checked, Gone: s.gate.Gone,
		Leaving:      s.leaving.tell,
		MaxStaleness: c.MaxStaleness, Stale: s.gate.SetStale,
		LastGood: source.LastGood{Dir: c.StateDir}, Log: s.log.WithName("push"),
	})
	return nil
}

// openProxy opens the sockets.
func (s *sidecar) openProxy(ctx context.Context) error {
	c := s.conf
	tls, err := c.TLS.Server(func(err error) { s.log.Error(err, "the new certificate cannot be used; the old one stays") })
	if err != nil {
		return err
	}
	s.proxy, err = proxy.New(ctx, proxy.Config{
		Gate: s.gate, Listen: c.Listen, Limits: c.Limits, TLS: tls, Plaintext: c.Plaintext, TrustForwarded: c.TrustForwarded,
		AppProtocol: c.AppProtocol,
		Tracer:      s.tracer,
		Pressure:    watchSockets(s.budget),
		Observer:    s.observer(), Log: s.log.WithName("proxy"), Flush: func() { s.lines.Flush(logqueue.LastWords) },
	})
	s.server = s.proxy
	if err != nil {
		return err
	}
	return telemetry.RegisterLoops(s.reg, s.proxy.Held, s.proxy.Relieved)
}

// serve runs everything until ctx is done or a part fails. The rules and the admin port outlive the proxy's drain.
func (s *sidecar) serve(ctx context.Context) error {
	outer, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, outer := errgroup.WithContext(outer)
	inner, fail := context.WithCancel(ctx)
	defer fail()
	group.Go(func() error { defer fail(); return s.rules.Run(outer) })
	group.Go(func() error { defer fail(); return s.serveAdmin(outer) })
	group.Go(func() error { defer fail(); return s.awaitLeave(outer) })
	group.Go(func() error { return paceCollector(outer) })
	if s.exporter != nil {
		group.Go(func() error { return s.exporter.Run(outer) })
	}
	if s.proxy != nil {
		group.Go(func() error { return s.leave(outer) })
		group.Go(func() error { return s.ports.Run(outer) })
	}
	group.Go(func() error { defer stop(); return s.server.Run(inner) })
	return group.Wait()
}

// apply puts a bundle in force.
func (s *sidecar) apply(b *bundle.Bundle, version string) error {
	if s.refuses != nil {
		if err := s.refuses(b); err != nil {
			s.metrics.SnapshotRejected()
			return err
		}
	}
	snapshot, err := gate.NewSnapshot(b, version, gate.SnapshotOptions{
		CacheBytes: s.conf.CacheBytes, OnLeftOut: s.leftOut, Endpoints: s.endpoints,
	})
	if err != nil {
		s.metrics.SnapshotRejected()
		return err
	}
	s.gate.Swap(snapshot)
	s.metrics.SnapshotLoaded(version)
	s.metrics.Retain(snapshot.Policies())
	return nil
}

// revoke puts revocations in force.
func (s *sidecar) revoke(set *revoked.Set) {
	s.gate.Revoke(set)
	if s.conf.StateDir != "" {
		s.budget.holdFiles(2 * int64(set.Len()) * revoked.Size) // the last good copy, twice while it is replaced
	}
	s.metrics.Revocations(set.Len())
}

// leftOut tells of an identity header that a token could not give.
func (s *sidecar) leftOut(l gate.LeftOut) {
	s.metrics.LeftOut(string(l.Why))
	s.log.V(1).Info("identity header left out", "policy", l.Policy, "header", l.Header, "cause", l.Why.Text())
}

// observer counts and logs requests.
func (s *sidecar) observer() proxy.Observer {
	return observer{s.metrics, s.decided, s.budget}
}

type observer struct {
	metrics *telemetry.Metrics
	log     *telemetry.DecisionLog
	budget  *budget
}

func (o observer) Request(r *telemetry.Record) {
	o.metrics.Request(r)
	o.log.Request(r)
}

func (o observer) Connection(delta int) {
	o.metrics.Connection(delta)
	o.budget.connection(delta)
}

func (s *sidecar) freshness() (connected bool, age time.Duration, known bool) {
	if s.rules == nil {
		return false, 0, false
	}
	f := s.rules.Freshness()
	return f.Connected, f.Age, f.Known
}

func (s *sidecar) cache() telemetry.Cache {
	c := s.gate.CacheStats()
	return telemetry.Cache{Hits: c.Hits, Misses: c.Misses, Evictions: c.Evictions, Entries: int64(c.Entries), Bytes: c.Bytes}
}

func (s *sidecar) proofs() telemetry.Proofs {
	remembered, forgotten := s.gate.ProofStats()
	return telemetry.Proofs{Remembered: remembered, Forgotten: forgotten}
}

func addresses(s server) []string {
	var out []string
	for _, a := range s.Addrs() {
		out = append(out, a.String())
	}
	return out
}
