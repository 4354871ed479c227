package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bearerguard/bearerguard/api/fair"
	"github.com/bearerguard/bearerguard/api/loopback"
	"github.com/bearerguard/bearerguard/api/probe"
	"github.com/bearerguard/bearerguard/sidecar/aside"
	"github.com/bearerguard/bearerguard/sidecar/explain"
)

// admin is the handler of the admin port. Nothing on it is a way to the app, but for the app's own probes. Refusals have paths and
// addresses of clients, which other pods must not read.
func (s *sidecar) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /debug", s.debug)
	mux.HandleFunc("GET /debug/snapshot", taken(s.debugSnapshot))
	mux.HandleFunc("GET /debug/keys", loopback.Only(taken(s.debugKeys)))
	mux.HandleFunc("GET /debug/state", loopback.Only(taken(s.debugState)))
	mux.HandleFunc("GET /debug/refusals", loopback.Only(taken(s.debugRefusals)))
	mux.HandleFunc("GET /debug/requests", loopback.Only(taken(s.debugRequests)))
	mux.HandleFunc("POST "+explain.Path, loopback.Only(taken(s.debugExplain)))
	if s.proxy != nil {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			mux.HandleFunc(method+" "+aside.Path, loopback.Only(s.stepAside))
		}
	}
	mux.HandleFunc("GET /metrics", taken(promhttp.HandlerFor(s.reg, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes, EnableOpenMetrics: true}).ServeHTTP))
	mux.HandleFunc("GET "+probe.HoldPath, s.hold)
	mux.HandleFunc("GET /probe/{container}/{kind}", s.probe)
	return mux
}

const (
	// scrapes is how many may read metrics at once.
	scrapes = 4
	// takes is how long who asked may take to read an answer.
	takes = 30 * time.Second
)

// taken gives who asked a bounded time for the answer: some who read none of theirs would have nobody else read metrics. Answers that are
// waited for, such as those of an app's own probes, are short, and need no bound.
func taken(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(takes)) // a server's own can always be set
		h(w, r)
	}
}

// ready tells whether requests may come: there are rules that are not too old, and no order to stop. A sidecar that has never been
// ready waits for keys too, so that a rollout during an outage of the key server stops, instead of replacing pods that have keys by
// pods that answer 503. Once it was ready, keys do not count any more: to take all pods away helps nobody.
func (s *sidecar) ready(w http.ResponseWriter, _ *http.Request) {
	if why := s.unwilling(); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	s.began.Store(true)
	fmt.Fprintln(w, "ok")
}

// unwilling says why no new requests are to come; empty: they may.
func (s *sidecar) unwilling() string {
	if unready := s.unready(); unready != "" {
		return unready
	}
	switch {
	case s.server.Draining():
		return "stopping"
	case !s.aside.Until().IsZero():
		return "stepped aside to be replaced"
	}
	return ""
}

// unready says why requests may not come yet, or no longer; empty: they may.
func (s *sidecar) unready() string {
	snapshot := s.gate.Snapshot()
	switch {
	case snapshot == nil || !s.gate.Ready():
		return "no rules have been loaded yet"
	case s.conf.ReadyByKeys && snapshot.Keyless() != "" && !s.began.Load():
		return "no issuer of policy " + snapshot.Keyless() + " has keys yet; with --readiness snapshot the sidecar does not wait for them"
	case s.gate.Stale():
		return "the rules are too old: the controller has not been reached for --max-staleness"
	}
	return ""
}

// debugSnapshot describes the rules in force, without keys.
func (s *sidecar) debugSnapshot(w http.ResponseWriter, _ *http.Request) {
	snapshot := s.gate.Snapshot()
	if snapshot == nil {
		http.Error(w, "no rules have been loaded yet", http.StatusNotFound)
		return
	}
	writeJSON(w, snapshot.Summary())
}

// debugRefusals shows the last refusals and what led to each, without any value of a token, a key or a claim.
func (s *sidecar) debugRefusals(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"refusals": s.decided.Recent()})
}

// debug names what there is to see.
func (s *sidecar) debug(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `/debug/refusals  the last refusals of each reason, and the cause of each
/debug/requests  the last refusals, and a sample of what was let through: ?id=ID, ?decision=deny, ?limit=N
/debug/explain   what the rules in force say of a request: kubectl bearerguard explain asks here
/debug/keys      the keys in force, by issuer: their ids and thumbprints, never a secret's
/debug/snapshot  the rules in force
/debug/state     how the sidecar is, and what it has refused lately: ?since=10m
/debug/aside     whether the sidecar is about to be replaced: kubectl bearerguard upgrade-sidecars asks here
`)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}

// probe runs one of the app's own probes, which the injector redirected here, as the kubelet would.
func (s *sidecar) probe(w http.ResponseWriter, r *http.Request) {
	p, ok := s.conf.Probes[r.PathValue("container")+"/"+r.PathValue("kind")]
	if !ok {
		http.Error(w, "no such probe", http.StatusNotFound)
		return
	}
	timeout := time.Duration(max(p.TimeoutSeconds, 1)) * time.Second
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	if err := proberFor(r, s.conf.AppAddress).run(ctx, p); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// serveAdmin serves the admin port until ctx is done.
func (s *sidecar) serveAdmin(ctx context.Context) error {
	if s.conf.Admin == "" {
		<-ctx.Done()
		return nil
	}
	var lc net.ListenConfig
	lis, err := lc.Listen(ctx, "tcp", s.conf.Admin)
	if err != nil {
		return fmt.Errorf("--admin: %w", err)
	}
	server := s.adminServer()
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(fair.Limit(lis, adminLimits)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// adminLimits leave room to the kubelet's probes, whatever other pods do: they fail else, and the pod gets no requests any more.
var adminLimits = fair.Limits{All: 256, Place: 128}

func (s *sidecar) adminServer() *http.Server {
	return &http.Server{Handler: s.admin(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
}
