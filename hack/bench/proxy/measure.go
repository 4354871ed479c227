package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	spin                 float64 // us that a fixed piece of work took on the proxy's core, before and after
}

const (
	rate       = 5000 // requests/s for latency
	fewIdle    = 1000
	manyIdle   = 9500
	connecting = 64 // connections of the load generator
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
	got, err := b.load(ctx, r, t, "-d", seconds(b.latencyTime), "-r", strconv.Itoa(rate))
	s.p50, s.p99 = got.P50, got.P99
	return s, err
}

// refuses makes sure that the proxy checks tokens: a good one passes, each bad one is refused.
func (b *bench) refuses(ctx context.Context, r row, t *target) error {
	status := func(token string) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(t.port)+"/orders/small", nil)
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client(r.load.h2).Do(req)
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
	if r.load.h2 {
		_, err := b.h2load(ctx, r, t, 500*time.Millisecond)
		return err
	}
	if r.group == repeated && r.load.tokens > 1 {
		if _, err := b.load(ctx, r, t, "-n", strconv.Itoa(r.load.tokens)); err != nil {
			return err
		}
	}
	_, err := b.load(ctx, r, t, "-d", "0.5")
	return err
}

// saturate keeps the proxy as busy as it can be.
func (b *bench) saturate(ctx context.Context, r row, t *target, s *sample) error {
	p := t.process
	if p == nil { // no proxy
		got, err := b.load(ctx, r, t, "-d", seconds(b.time))
		s.perSecond = got.perSecond()
		return err
	}
	profile, err := b.profile(p, r)
	if err != nil {
		return err
	}
	mallocs, counted := t.mallocs(ctx)
	before, err := p.cpu()
	if err != nil {
		return err
	}
	spin := b.spin(ctx)
	got, err := b.drive(ctx, r, t)
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
		s.allocs = (end - mallocs) / got.Requests
	}
	return nil
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

func (b *bench) drive(ctx context.Context, r row, t *target) (result, error) {
	if r.load.h2 {
		return b.h2load(ctx, r, t, b.time)
	}
	return b.load(ctx, r, t, "-d", seconds(b.time))
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
		pause(b.settle)
		*step.to, err = t.process.rss()
		release()
		if err != nil {
			return err
		}
	}
	return nil
}

// result is what a load generator prints.
type result struct {
	Requests, Errors, Reopened, Seconds, P50, P99 float64
}

func (r result) perSecond() float64 { return r.Requests / r.Seconds }

// flags are those of c/load.c for the row.
func (b *bench) flags(r row, t *target, more ...string) []string {
	out := append([]string{"-c", strconv.Itoa(connecting), "-p", "/orders/" + r.load.body}, more...)
	out = append(out, "-t", filepath.Join(b.data, r.load.alg+".tokens"), "-k", strconv.Itoa(r.load.tokens))
	if r.load.upload > 0 {
		out = append(out, "-b", strconv.Itoa(r.load.upload))
	}
	return append(out, strconv.Itoa(t.port))
}

// load runs the load generator. Any request that fails fails the row.
func (b *bench) load(ctx context.Context, r row, t *target, more ...string) (result, error) {
	out, err := b.output(ctx, b.pinned(loadCore, b.tool("load"), b.flags(r, t, more...)...))
	if err != nil {
		return result{}, err
	}
	return parse(out)
}

func parse(out []byte) (result, error) {
	var got result
	if err := json.Unmarshal(out, &got); err != nil {
		return got, fmt.Errorf("read %q: %w", out, err)
	}
	if got.Errors > 0 || got.Requests == 0 {
		return got, fmt.Errorf("%.0f of %.0f requests failed", got.Errors, got.Requests)
	}
	return got, nil
}

// hold opens idle connections, each after one request and its answer. They are closed by release.
func (b *bench) hold(ctx context.Context, r row, t *target, connections int) (release func(), err error) {
	if connections == 0 {
		return func() {}, nil
	}
	cmd := b.pinned(loadCore, b.tool("load"), b.flags(r, t, "-i", "-c", strconv.Itoa(connections))...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p, err := b.spawn(cmd, "hold")
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && ctx.Err() == nil && p.state() != "Z"; {
		if text := p.output(); strings.HasSuffix(text, "\n") {
			_, err := parse([]byte(text))
			return func() { in.Close(); b.stop(p) }, err
		}
		pause(50 * time.Millisecond)
	}
	b.stop(p)
	return nil, fmt.Errorf("%d connections could not be opened: %s", connections, p.output())
}

var (
	h2Counts = regexp.MustCompile(`requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded`)
	h2OK     = regexp.MustCompile(`status codes: (\d+) 2xx`)
)

// h2load runs nghttp2's load generator: 16 connections of 16 streams.
func (b *bench) h2load(ctx context.Context, r row, t *target, d time.Duration) (result, error) {
	token, err := lines(filepath.Join(b.data, r.load.alg+".tokens"), 1)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	out, err := b.output(ctx, b.pinned(loadCore, "h2load", "-c16", "-m16", "-t1", "-D", strconv.FormatInt(d.Milliseconds(), 10)+"ms",
		"-H", "authorization: Bearer "+token[0], "http://"+loopback(t.port)+"/orders/"+r.load.body))
	took := time.Since(start)
	if err != nil {
		return result{}, err
	}
	counts, ok := h2Counts.FindSubmatch(out), h2OK.FindSubmatch(out)
	if counts == nil || ok == nil {
		return result{}, fmt.Errorf("h2load printed %q", out)
	}
	finished, _ := strconv.ParseFloat(string(counts[2]), 64)
	good, _ := strconv.ParseFloat(string(ok[1]), 64)
	if good == 0 || good < finished {
		return result{}, fmt.Errorf("%.0f of %.0f requests failed", finished-good, finished)
	}
	return result{Requests: finished, Seconds: min(d, took).Seconds()}, nil
}

// output runs a command to its end and returns what it printed.
func (b *bench) output(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return nil, errors.Join(ctx.Err(), fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Args[len(b.priority)+3]), err, problem.Bytes()))
	}
	return out.Bytes(), nil
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
	resp, err := client(false).Do(req)
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

// client sends single requests on connections of their own.
func client(h2 bool) *http.Client {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	return &http.Client{Transport: &http.Transport{Protocols: protocols, DisableKeepAlives: true}, Timeout: 10 * time.Second}
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
