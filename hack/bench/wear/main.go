// Command wear attacks a sidecar in the ways that docs/limits.md names, and prints what each attack costs it in memory
// and what it costs a well-behaved client in time.
//
//	make bench-wear                      # all, in seven minutes
//	make bench-wear ONLY='slow|idle'     # some
//	make bench-wear-vm                   # those that the kernel holds memory for, against a sidecar of 128 MiB in a virtual machine
//
// The sidecar is the real binary, a process of its own, with the limits that it has by default but for the number of
// connections. The app is another process; attackers and the well-behaved client are in this one. All are on one machine,
// so what the attackers spend is missing to the sidecar; floods come at a fixed rate for that reason.
//
// With --memory the attacks are others (sieges.go), and the sidecar runs in a control group of version 2 with a memory limit and the limits that it has
// by default. The kernel ends a sidecar that needs more.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// Targets.
const (
	plainMiB   = 80  // for all connections of an attack
	tlsMiB     = 150 // the same over TLS
	mostFactor = 2   // of the median latency of a well-behaved client
)

// options are what the command line says.
type options struct {
	sidecar     string
	connections int
	duration    time.Duration
	patience    time.Duration // of a well-behaved client
	files       int           // that a process may open
	memory      int64         // bytes; 0: the attacks without a control group
	only        *regexp.Regexp
}

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "app":
		serveApp()
		return
	case os.Getpid() == 1 && os.Args[0] == "/init": // not that of a container
		machine()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "wear:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	app, err := startApp(ctx)
	if err != nil {
		return err
	}
	defer app.stop()
	if o.memory > 0 {
		fmt.Printf("%-50s %5s %6s  %-18s  %-11s  %s\n", "attack", "conns", "opened", "peak MiB, sockets", "answered, lost", "the sidecar")
		return each(ctx, o, app.addr, sieges, besiege)
	}
	fmt.Printf("%-34s %6s  %-32s  %-36s\n", "attack", "conns", "RSS MiB before/during/after, cost", "median us before/during, factor")
	return each(ctx, o, app.addr, attacks, measure)
}

// parse reads the command line, and raises the limit of open files.
func parse() (*options, error) {
	var o options
	var only string
	var memory int64
	flag.StringVar(&o.sidecar, "sidecar", "bin/sidecar", "the sidecar's binary")
	flag.IntVar(&o.connections, "connections", 10_000, "connections of an attack")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "how long an attack goes on once all connections are open")
	flag.DurationVar(&o.patience, "patience", 5*time.Second, "how long the well-behaved client waits for an answer")
	flag.Int64Var(&memory, "memory", 0, "MiB of a control group of version 2 that the sidecar runs in (root): attacks that have the kernel hold memory; 0: the others")
	flag.StringVar(&only, "only", "", "regular expression: attacks to run")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(only); err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	o.memory = memory << 20
	o.files, err = raiseFiles()
	return &o, err
}

// row is what an attack did.
type row interface {
	fmt.Stringer
	good() bool
}

// each runs the attacks that are wanted and prints their rows.
func each[R row](ctx context.Context, o *options, app string, attacks []attack, run func(context.Context, *options, string, attack) (R, error)) error {
	var failed error
	for _, a := range attacks {
		if !o.only.MatchString(a.name) {
			continue
		}
		r, err := run(ctx, o, app, a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		fmt.Println(r)
		if !r.good() {
			failed = errors.New("a target was missed")
		}
	}
	return failed
}

// raiseFiles raises the limit of open files for this process and those it starts, and returns it.
func raiseFiles() (int, error) {
	const want = 1 << 17
	l := syscall.Rlimit{Cur: want, Max: want}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err == nil {
		return want, nil
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	l.Cur = l.Max
	return int(l.Max), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l) //nolint:gosec // not as many
}

// result is one row.
type result struct {
	name                  string
	conns, mostMiB        int
	before, during, after float64 // MiB
	calm, pressed         time.Duration
	scale                 float64 // connections asked for to those opened
	lost                  int     // requests of the well-behaved client without an answer
}

// cost is what as many connections as asked for cost, in MiB: fewer are opened where the limit of open files is low.
func (r *result) cost() float64 {
	return (r.during - r.before) * max(1, r.scale)
}

func (r *result) good() bool {
	return r.cost() <= float64(r.mostMiB) && r.pressed <= mostFactor*r.calm && r.lost == 0
}

func (r *result) String() string {
	mark := ""
	if !r.good() {
		mark = "  MISSED"
	}
	if r.lost > 0 {
		mark += fmt.Sprintf(" (%d requests lost)", r.lost)
	}
	return fmt.Sprintf("%-34s %6d  %5.0f %5.0f %5.0f  +%-3.0f (<=%d)  %5d %5d  x%.2f (<=%d)%s", r.name, r.conns,
		r.before, r.during, r.after, r.cost(), r.mostMiB,
		r.calm.Microseconds(), r.pressed.Microseconds(), float64(r.pressed)/float64(r.calm), mostFactor, mark)
}

// measure runs one attack against a sidecar of its own.
func measure(ctx context.Context, o *options, app string, a attack) (*result, error) {
	s, err := startSidecar(ctx, o, app, a.over != plaintext, nil)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	polite, err := newPolite(s)
	if err != nil {
		return nil, err
	}
	defer polite.close()
	polite.run(ctx, time.Second) // warm
	r := &result{name: a.name, mostMiB: plainMiB, calm: polite.run(ctx, 3*time.Second), before: s.rss()}
	if a.over != plaintext {
		r.mostMiB = tlsMiB
	}
	attackCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	force := &force{ctx: attackCtx, sidecar: s, conns: min(o.connections, (o.files-200)/a.files)}
	if a.conns > 0 {
		force.conns = a.conns
	}
	force.attackAll(a)
	peak := make(chan float64, 1)
	watching, seen := context.WithCancel(attackCtx)
	go func() { peak <- s.peak(watching) }()
	r.pressed = polite.run(ctx, o.duration)
	r.conns, r.lost = force.conns, polite.lost
	if a.conns == 0 {
		r.scale = float64(o.connections) / float64(r.conns)
	}
	seen()
	r.during = max(<-peak, force.peak)
	cancel()
	force.done.Wait()
	polite.run(ctx, 2*time.Second)
	r.after = s.rss()
	return r, ctx.Err()
}

// median of what is not empty.
func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return time.Hour
	}
	slices.Sort(d)
	return d[len(d)/2]
}
