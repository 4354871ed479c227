package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sample is what one round says of one row. A number that was not measured is NaN.
type sample struct {
	perSecond, cpu, busy float64 // requests/s; us a request; percent of the proxy's core
	allocs               float64 // a request
	p50, p99             float64 // us at the fixed rate
	idle, with1k, most   float64 // MiB of RSS: idle, with 1,000 and with 9,500 connections
	private              float64 // MiB of the idle RSS that no file is mapped to
	spin                 float64 // us that a fixed piece of work took on the proxy's core, before and after
}

const (
	rate        = 5000                   // requests/s for latency
	latencyPart = 500 * time.Millisecond // of the time for latency
	fewIdle     = 1000
	manyIdle    = 9500
	connecting  = 64 // connections of the load generator

	callConnections = 16 // of calls, with 16 calls at a time each
	streamsEach     = 4  // streaming calls at a time on each connection
)

// measure runs one row once.
func (b *bench) measure(ctx context.Context, r row, first bool) (sample, error) {
	s := nothing()
	t, err := b.start(r)
	if err != nil {
		return s, err
	}
	defer b.stop(t.process)
	if first && r.proxy.checks() {
		if err := b.refuses(ctx, r, t); err != nil {
			return s, err
		}
	}
	if r.group == memory {
		return s, b.memory(ctx, r, t, &s)
	}
	if err := b.warm(ctx, r, t); err != nil {
		return s, err
	}
	if err := b.saturate(ctx, r, t, &s); err != nil || !r.latency || b.perf {
		return s, err
	}
	return s, b.latency(ctx, r, t, &s)
}

// latency measures at the fixed rate in short parts, of which the middle one counts: a moment in which the host gives the machine
// no time spoils a part, not the row.
func (b *bench) latency(ctx context.Context, r row, t *target, s *sample) error {
	var p50, p99 []float64
	for range max(1, b.latencyTime/latencyPart) {
		got, err := b.load(ctx, r, t, "-d", r.load.length(latencyPart), "-r", strconv.Itoa(rate))
		if err != nil {
			return err
		}
		p50, p99 = append(p50, got.P50), append(p99, got.P99)
	}
	s.p50, s.p99 = middle(p50), middle(p99)
	return nil
}

// refuses makes sure that the proxy checks tokens: a good one passes, each bad one is refused.
func (b *bench) refuses(ctx context.Context, r row, t *target) error {
	status := func(token string) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.load.url(t.port), nil)
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client(r.load).Do(req)
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		return resp.StatusCode, nil
	}
	good, err := lines(filepath.Join(b.data, r.load.alg+".tokens"), 1)
	if err != nil {
		return err
	}
	bad, err := lines(filepath.Join(b.data, r.load.alg+".bad"), 100)
	if err != nil {
		return err
	}
	for i, token := range append(good, bad...) {
		got, err := status(token)
		if err != nil {
			return err
		}
		if i == 0 != (got == http.StatusOK) || i > 0 && got != http.StatusUnauthorized && got != http.StatusForbidden {
			return fmt.Errorf("token %d (0 is good, the others bad) got %d\n%s", i, got, t.process.output())
		}
	}
	return nil
}

// warm sends every token once, and for a while, so that caches are full and code is hot.
func (b *bench) warm(ctx context.Context, r row, t *target) error {
	if r.load.tokens > 1 && r.group != firstSeen {
		if _, err := b.load(ctx, r, t, "-n", strconv.Itoa(r.load.tokens)); err != nil {
			return err
		}
	}
	_, err := b.drive(ctx, r, t, 500*time.Millisecond)
	return err
}

// saturate keeps the proxy as busy as it can be.
func (b *bench) saturate(ctx context.Context, r row, t *target, s *sample) error {
	p := t.process
	if p == nil { // no proxy
		got, err := b.drive(ctx, r, t, b.time)
		s.perSecond = got.perSecond()
		return err
	}
	profile, err := b.profile(p, r)
	if err != nil {
		return err
	}
	setup, err := b.setupMallocs(ctx, r, t)
	if err != nil {
		return err
	}
	mallocs, counted := t.mallocs(ctx)
	before, err := p.cpu()
	if err != nil {
		return err
	}
	spin := b.spin(ctx)
	got, err := b.drive(ctx, r, t, b.time)
	b.profiled(profile)
	if err != nil {
		return err
	}
	after, err := p.cpu()
	if err != nil {
		return err
	}
	s.spin = (spin + b.spin(ctx)) / 2
	used := (after - before).Seconds()
	s.perSecond, s.cpu, s.busy = got.perSecond(), used*1e6/got.Requests, used*100/got.Seconds
	if end, ok := t.mallocs(ctx); ok && counted {
		s.allocs = max(0, end-mallocs-setup) / got.Requests
	}
	return nil
}

// setupMallocs is how many allocations are not those of requests on open connections: to open them, to send one request on
// each, and to tell the count.
func (b *bench) setupMallocs(ctx context.Context, r row, t *target) (float64, error) {
	before, ok := t.mallocs(ctx)
	if !ok || r.load.byH2load() {
		return 0, nil
	}
	if _, err := b.load(ctx, r, t, "-n", strconv.Itoa(r.load.connections())); err != nil {
		return 0, err
	}
	after, _ := t.mallocs(ctx)
	return after - before, nil
}

// spin tells how long a fixed piece of work takes on the proxy's core; see c/spin.c.
func (b *bench) spin(ctx context.Context) float64 {
	out, err := b.output(ctx, b.pinned(proxyCore, b.tool("spin")))
	if err != nil {
		return math.NaN()
	}
	us, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		return math.NaN()
	}
	return us
}

// drive sends the row's load for a while, as fast as answers come.
func (b *bench) drive(ctx context.Context, r row, t *target, d time.Duration) (result, error) {
	if r.load.byH2load() {
		return b.h2load(ctx, r, t, d)
	}
	return b.load(ctx, r, t, "-d", r.load.length(d))
}

// memory measures RSS, idle and with idle connections that have had an answer.
func (b *bench) memory(ctx context.Context, r row, t *target, s *sample) error {
	for _, step := range []struct {
		connections int
		to          *float64
	}{{0, &s.idle}, {fewIdle, &s.with1k}, {manyIdle, &s.most}} {
		release, err := b.hold(ctx, r, t, step.connections)
		if err != nil {
			return err
		}
		all, private, err := b.resident(t.process)
		err = errors.Join(err, t.process.holds(step.connections))
		*step.to = all
		if step.connections == 0 {
			s.private = private
		}
		release()
		if err != nil {
			return err
		}
	}
	return nil
}

// resident is the process's RSS, and the private part of it, once things have settled: the mean of readings over some seconds,
// since programs that collect garbage have more of it at one moment than at another.
func (b *bench) resident(p *process) (all, private float64, err error) {
	const readings = 20
	pause(b.settle / 2)
	for range readings {
		pause(b.settle / readings)
		a, own, err := p.rss()
		if err != nil {
			return 0, 0, err
		}
		all, private = all+a/readings, private+own/readings
	}
	return all, private, nil
}

// mallocs is the count of heap allocations since the start, for programs that tell.
func (t *target) mallocs(ctx context.Context) (float64, bool) {
	if t.admin == "" {
		return 0, false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.admin+"/metrics", nil)
	if err != nil {
		return 0, false
	}
	resp, err := client(load{}).Do(req)
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "go_memstats_mallocs_total "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return n, err == nil
		}
	}
	return 0, false
}

// client sends single requests as the load's are sent, on connections of their own.
func client(l load) *http.Client {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!l.h2)
	protocols.SetUnencryptedHTTP2(l.h2)
	t := &http.Transport{Protocols: protocols, DisableKeepAlives: true}
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the proxy's certificate was made for the run
	return &http.Client{Transport: t, Timeout: 10 * time.Second}
}

// url is what the load asks for.
func (l load) url(port int) string {
	scheme := "http"
	if l.tls {
		scheme = "https"
	}
	return scheme + "://" + loopback(port) + "/orders/small"
}

// lines returns the first n lines of a file.
func lines(file string, n int) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all := strings.SplitN(strings.TrimSpace(string(text)), "\n", n+1)
	return all[:min(n, len(all))], nil
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
