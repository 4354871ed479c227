// Command engine measures the token and policy engine in one run and prints a table: `make bench-engine`.
//
// It is a module of its own, so that what it compares with is no dependency of the product. Contenders take turns in
// short rounds and the fastest round of each counts, so that other work on the machine disturbs the figures little.
// It judges nothing: a target that is missed is printed as such, and the exit code is 0.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench-engine:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	fmt.Fprintf(out, "%s, %s/%s, %d CPUs, %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpu())
	for _, part := range []func(io.Writer) error{verification, cached, opaque, bound, revocations, memory} {
		fmt.Fprintln(out)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		if err := part(w); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// cpu returns the processor's name where the system tells it.
func cpu() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :\n")
		}
	}
	return "unknown processor"
}

// target prints whether a figure is what is aimed at.
func target(what string, met bool) string {
	if met {
		return what + ": met"
	}
	return what + ": MISSED"
}
