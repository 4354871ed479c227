// Command fleet measures what many sidecars cost the controller and the API server, and how soon they have what is new.
//
//	make bench-fleet                     # 10,000 sidecars, in ten minutes
//	make bench-fleet N=1000 ONLY='edit'  # some rows, of a thousand
//
// The API server, its etcd and the controller are the real programs. The sidecars are the push clients of real sidecars,
// all in one process, each with a connection, a stream and a token of its own that is bound to its own pod; there are no
// nodes and no containers. Everything is on one machine and over loopback, so what sidecars and API server spend is
// missing to the controller. The load of the machine is printed beside the figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// options are what the command line says.
type options struct {
	controller string
	assets     string
	sidecars   int
	namespaces int
	log        string
	only       *regexp.Regexp
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "sidecars" {
		if err := runSidecars(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "fleet: sidecars:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context) error {
	var o options
	var only string
	flag.StringVar(&o.controller, "controller", "bin/controller", "the controller's binary")
	flag.StringVar(&o.assets, "assets", os.Getenv("KUBEBUILDER_ASSETS"), "folder of etcd and kube-apiserver")
	flag.IntVar(&o.sidecars, "sidecars", 10_000, "sidecars of a fleet")
	flag.IntVar(&o.namespaces, "namespaces", 500, "namespaces of the fleet that is spread")
	flag.StringVar(&o.log, "controller-log", os.DevNull, "file for the errors that the controller logs; empty: standard error")
	flag.StringVar(&only, "only", "", "regular expression: scenarios to run")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(only); err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	o.namespaces = max(1, min(o.namespaces, o.sidecars))
	if err := raiseFiles(); err != nil {
		return err
	}
	ctrl.SetLogger(logr.Discard())
	b := &bench{options: o}
	defer b.stop()
	if err := b.start(ctx); err != nil {
		return err
	}
	fmt.Printf("%s, %d sidecars, load of the machine %s\n", time.Now().UTC().Format("2006-01-02 15:04"), o.sidecars, load())
	for _, s := range scenarios {
		if !o.only.MatchString(s.name) {
			continue
		}
		began := time.Now()
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("# %s: %s, load %s\n", s.name, time.Since(began).Round(time.Second), load())
	}
	return ctx.Err()
}

// row prints a figure beside what is wanted of it; missed marks it.
func row(what, measured, wanted string, missed bool) {
	mark := ""
	if missed {
		mark = "  MISSED"
	}
	fmt.Printf("%-62s | %-34s | %s%s\n", what, measured, wanted, mark)
}

// raiseFiles raises the limit of open files for this process and those it starts.
func raiseFiles() error {
	const want = 1 << 17
	l := syscall.Rlimit{Cur: want, Max: want}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err == nil {
		return nil
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}

// load is the machine's load averages.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}
