package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/page"
)

const playgroundLong = `Serve a page to try policies on: a policy, a token or claims, and a request on the left, the explained decision on
the right as you type, made by the sidecar's own engine.

The page is part of this program: it needs no cluster and no network, and what is typed never leaves this machine. It is
served to this machine alone, until Ctrl-C.`

const playgroundExample = `  # Serve the page at http://127.0.0.1:8088.
  bearerguard playground

  # At any free port.
  bearerguard playground --address 127.0.0.1:0`

func newPlayground(now func() time.Time) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:     "playground",
		Short:   "Serve a page to try policies on",
		Long:    playgroundLong,
		Example: playgroundExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return servePage(cmd, address, "", page.Handler(now))
		},
	}
	cmd.Flags().StringVar(&address, "address", "127.0.0.1:8088", "`address` of this machine's loopback to serve at; port 0 takes any that is free")
	return cmd
}

// servePage serves a page of this machine, at a path, until the command is cancelled.
func servePage(cmd *cobra.Command, address, path string, handler http.Handler) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--address: %q is not an address and a port, such as 127.0.0.1:8088", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--address: %q is not this machine's loopback: the page is for this machine alone; want 127.0.0.1, ::1 or localhost", host)
	}
	listener, err := new(net.ListenConfig).Listen(cmd.Context(), "tcp", address)
	if err != nil {
		return fmt.Errorf("--address: %w", err)
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "http://%s%s\n", listener.Addr(), path); err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
	stop := context.AfterFunc(cmd.Context(), func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
