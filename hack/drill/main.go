// Command drill does to a cluster what goes wrong in clusters, one named case after the other, while requests of all kinds
// run, and prints for each what became of them. Run it by "make drill", which starts the one-node cluster of
// hack/cluster, loads the images and runs drill inside the node's namespaces.
//
// A case is as wanted if no request was wrongly allowed, no more were refused or dropped than the case says, they stopped
// to be within its time, and the status of the objects told the truth meanwhile. After each case the cluster has to be well
// again before the next begins; the exit status is 1 if one case was not as wanted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
		os.Exit(1)
	}
}

func run() error {
	only := flag.String("only", "", "run the cases whose name fits this `regexp`")
	quick := flag.Bool("quick", false, "run the quick half of the cases, with shorter waits")
	again := flag.Bool("again", false, "run a case that was not as wanted once more, unless it wrongly allowed a request")
	list := flag.Bool("list", false, "list the cases as a table, and run none")
	flag.Parse()
	if *list {
		fmt.Print(table(cases()))
		return nil
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	w, err := newWorld(ctx, *quick)
	if err != nil {
		return err
	}
	defer w.close()
	return w.drill(ctx, selected(cases(), pattern, *quick), *again)
}

func selected(all []drillCase, pattern *regexp.Regexp, quick bool) (out []drillCase) {
	for _, c := range all {
		if pattern.MatchString(c.name) && (c.quick || !quick) {
			out = append(out, c)
		}
	}
	return out
}
