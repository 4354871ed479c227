// Command serve serves the dashboard of a made fleet, for browsers of tests: serve shop|well|empty|large. It prints the address. Lines of standard input
// name the fault that begins: forbidden, forbidden-all, unreachable, hangs; an empty line ends it.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard/dashboardtest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	fleets := map[string]func(func() time.Time) *dashboardtest.Fleet{
		"shop": dashboardtest.Shop, "well": dashboardtest.Well, "empty": dashboardtest.Empty, "large": dashboardtest.Large,
	}
	if len(os.Args) < 2 || fleets[os.Args[1]] == nil {
		return fmt.Errorf("want shop, well, empty or large")
	}
	fleet := fleets[os.Args[1]](time.Now)
	about := dashboard.About{Context: "prod-eu"}
	if len(os.Args) > 2 {
		fleet.Break(dashboardtest.Fault(os.Args[2]))
	}
	if os.Args[1] == "empty" {
		about.Namespace = "shop"
	}
	w := dashboard.NewWatcher(fleet, about, time.Now)
	go w.Run(context.Background())
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secret := dashboard.NewSecret()
	fmt.Fprintf(os.Stdout, "http://%s/%s/\n", listener.Addr(), secret)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			fleet.Break(dashboardtest.Fault(lines.Text()))
		}
		os.Exit(0) // who started it is gone
	}()
	return (&http.Server{Handler: w.Handler(secret), ReadHeaderTimeout: 10 * time.Second}).Serve(listener)
}
