package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	sidecar, other            string // other: a build to measure beside; empty: none
	tools, data, dir          string
	realtime, perf, quick     bool
	priority                  []string // a command in front of those that are measured
	leftOut                   string   // a note about rows that cannot be measured here, or empty
	rounds                    int
	time, latencyTime, settle time.Duration

	best    float64        // us: see remember
	apps    map[string]int // ports, by kind.app
	running map[int]*process
}

func main() {
	runtime.LockOSThread() // the kernel ends our processes when the thread that started them ends
	b := &bench{apps: map[string]int{}, running: map[int]*process{}}
	var pattern string
	flag.StringVar(&b.sidecar, "sidecar", "bin/bench-proxy/sidecar", "the sidecar `program`")
	flag.StringVar(&b.other, "other", "", "another build of the sidecar: each row of Bearerguard gets one of that `program` beside it")
	flag.StringVar(&b.tools, "tools", "bin/bench-proxy", "`directory` of load, upstream and peer; results go there too")
	flag.StringVar(&pattern, "rows", os.Getenv("ROWS"), "`regexp` of group/name: only these rows")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds over all rows")
	flag.DurationVar(&b.time, "time", 3*time.Second, "length of a measurement")
	flag.BoolVar(&b.quick, "quick", os.Getenv("QUICK") == "1", "one short round")
	flag.BoolVar(&b.realtime, "realtime", os.Getenv("REALTIME") != "0", "run in front of other programs (chrt -f), if permitted")
	flag.BoolVar(&b.perf, "perf", os.Getenv("PERF") == "1", "record a profile of each proxy")
	list := flag.Bool("list", false, "print the rows' names and end")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, b, pattern, *list)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-proxy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, b *bench, pattern string, list bool) error {
	only, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("ROWS: %w", err)
	}
	var chosen []row
	for _, r := range rows() {
		if !only.MatchString(r.id()) {
			continue
		}
		chosen = append(chosen, r)
		if b.other != "" && r.proxy.program == "bearerguard" {
			r.name, r.proxy.other = r.name+"-other", true
			chosen = append(chosen, r)
		}
	}
	if list {
		for _, r := range chosen {
			fmt.Println(r.id())
		}
		return nil
	}
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin"); err != nil { // haproxy and nginx are there
		return err
	}
	chosen, b.leftOut = available(chosen, installed)
	if b.leftOut != "" {
		fmt.Fprintln(os.Stderr, b.leftOut)
	}
	if len(chosen) == 0 {
		return fmt.Errorf("ROWS=%s fits no row that can be measured here; -list prints them", pattern)
	}
	if err := b.prepare(); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	defer b.stopAll()
	return b.all(ctx, chosen)
}

// prepare settles times, makes tokens and a work directory.
func (b *bench) prepare() error {
	b.latencyTime, b.settle = b.time+time.Second, 10*time.Second
	if b.quick {
		b.rounds, b.time, b.latencyTime, b.settle = 1, time.Second, time.Second, 2*time.Second
	}
	if runtime.NumCPU() < 2 {
		return errors.New("two cores are needed")
	}
	if b.realtime && exec.Command("chrt", "-f", "50", "true").Run() == nil { //nolint:noctx // at once
		b.priority = []string{"chrt", "-f", "50"}
	}
	if err := allowFiles(); err != nil {
		return err
	}
	var err error
	if b.tools, err = filepath.Abs(b.tools); err != nil {
		return err
	}
	if b.sidecar, err = filepath.Abs(b.sidecar); err != nil {
		return err
	}
	if b.other != "" {
		if b.other, err = filepath.Abs(b.other); err != nil {
			return err
		}
	}
	b.data = filepath.Join(b.tools, "data")
	fmt.Fprintln(os.Stderr, "making tokens, unless there are some of today")
	if err := makeTokens(b.data); err != nil {
		return err
	}
	policy, err := configs.ReadFile("config/policy.yaml")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.data, "policies", "policy.yaml"), policy, 0o644); err != nil {
		return err
	}
	b.dir, err = os.MkdirTemp("", "bench-proxy-")
	return err
}

// all measures the rows and writes the report.
func (b *bench) all(ctx context.Context, chosen []row) error {
	before := readMachine()
	samples := map[string][]sample{}
	failed := map[string]error{}
	for round := range b.rounds {
		for i, r := range chosen {
			if failed[r.id()] != nil || round > 0 && r.group == memory {
				continue
			}
			fmt.Fprintf(os.Stderr, "round %d of %d, row %d of %d: %s\n", round+1, b.rounds, i+1, len(chosen), r.id())
			s, err := b.bounded(ctx, r, round == 0)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "  failed: %v\n", err)
				failed[r.id()] = err
				continue
			}
			samples[r.id()] = append(samples[r.id()], s)
		}
	}
	text := b.report(chosen, medians(samples), before)
	fmt.Print(text)
	file := filepath.Join(b.tools, "result.md")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "written to", file)
	if len(failed) > 0 {
		return fmt.Errorf("%d rows failed", len(failed))
	}
	return nil
}

// bounded measures a row within two minutes; whatever takes longer hangs.
func (b *bench) bounded(ctx context.Context, r row, first bool) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return b.measure(ctx, r, first)
}

// allowFiles raises the limit of open files as far as it goes. Both ends of 9,500 connections must fit.
func allowFiles() error {
	const enough = 2*manyIdle + 500
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	if files.Max < enough {
		return fmt.Errorf("at most %d open files are allowed; ulimit -Hn %d is needed", files.Max, enough)
	}
	files.Cur = files.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files)
}
