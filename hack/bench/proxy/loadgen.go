package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// result is what a load generator prints.
type result struct {
	Requests, Messages, Errors, Reopened, Seconds, P50, P99 float64
}

func (r result) perSecond() float64 { return r.Requests / r.Seconds }

// byH2load reports whether nghttp2's load generator sends the load.
func (l load) byH2load() bool { return l.h2 && l.calls == "" }

// connections are those of the load generator, where it is ours.
func (l load) connections() int {
	if l.calls != "" {
		return callConnections
	}
	return connecting
}

// length writes how long the load generator is to run, as it reads that.
func (l load) length(d time.Duration) string {
	if l.calls != "" {
		return d.String()
	}
	return seconds(d)
}

// loadLine is the command line of c/load.c or calls for the row.
func (b *bench) loadLine(r row, t *target, more ...string) []string {
	out := []string{b.tool("load"), "-c", strconv.Itoa(connecting), "-p", "/orders/" + r.load.body}
	if r.load.calls != "" {
		out = []string{b.tool("calls"), "load", "-c", strconv.Itoa(callConnections), "-kind", r.load.calls}
		if r.load.body != "" {
			out = append(out, "-p", "/orders/"+r.load.body)
		}
		if r.group == streaming {
			out = append(out, "-m", strconv.Itoa(streamsEach))
		}
	}
	out = append(out, more...)
	out = append(out, "-t", filepath.Join(b.data, r.load.alg+".tokens"), "-k", strconv.Itoa(r.load.tokens))
	if r.load.upload > 0 {
		out = append(out, "-b", strconv.Itoa(r.load.upload))
	}
	return append(out, strconv.Itoa(t.port))
}

// load runs the load generator. Any request that fails fails the row.
func (b *bench) load(ctx context.Context, r row, t *target, more ...string) (result, error) {
	line := b.loadLine(r, t, more...)
	out, err := b.output(ctx, b.pinned(loadCore, line[0], line[1:]...))
	if err != nil {
		return result{}, err
	}
	got, err := parse(out)
	if r.group == streaming {
		got.Requests = got.Messages
	}
	return got, err
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

// holdLine is the command line of what holds idle connections.
func (b *bench) holdLine(r row, t *target, connections int) []string {
	if !r.load.tls {
		return b.loadLine(r, t, "-i", "-c", strconv.Itoa(connections))
	}
	return []string{
		b.tool("idle"), "-c", strconv.Itoa(connections), "-p", "/orders/" + r.load.body,
		"-t", filepath.Join(b.data, r.load.alg+".tokens"), "-k", strconv.Itoa(r.load.tokens), loopback(t.port),
	}
}

// opening is how long that may take: 9,500 handshakes of TLS on a busy machine.
const opening = time.Minute

// hold opens idle connections, each after one request and its answer. They are closed by release.
func (b *bench) hold(ctx context.Context, r row, t *target, connections int) (release func(), err error) {
	if connections == 0 {
		return func() {}, nil
	}
	line := b.holdLine(r, t, connections)
	cmd := b.pinned(loadCore, line[0], line[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p, err := b.spawn(cmd, "hold")
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(opening); time.Now().Before(end) && ctx.Err() == nil && p.state() != "Z"; {
		if text := p.output(); strings.HasSuffix(text, "\n") {
			_, err := parse([]byte(text))
			return func() { in.Close(); b.stop(p) }, err
		}
		pause(50 * time.Millisecond)
	}
	b.stop(p)
	return nil, fmt.Errorf("%d connections could not be opened within %s: %s", connections, opening, p.output())
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
