package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// leaveSocket is in the state folder, which no other container of the pod has: a connection to it means that the pod is
// about to stop. The admin port would not do, since all the cluster reaches it.
const leaveSocket = "leave.sock"

func leaveCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "leave",
		Short: "Tell the running sidecar that its pod is about to stop.",
		Long: `Tell the running sidecar that its pod is about to stop, and return: the preStop hook of an injected sidecar.

Kubernetes ends a sidecar after the app. This comes before either: clients are asked to leave, in --drain-wait, while
the app still answers them. Requests are taken all the while.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d := net.Dialer{Timeout: time.Second}
			conn, err := d.DialContext(c.Context(), "unix", filepath.Join(dir, leaveSocket))
			if err != nil {
				return fmt.Errorf("--state-dir: no sidecar runs with it: %w", err)
			}
			return conn.Close()
		},
	}
	c.Flags().StringVar(&dir, "state-dir", "", "that of the running sidecar")
	return c
}

// awaitLeave has the proxy leave when it is told to, until ctx is done. Without a state folder nobody can tell.
func (s *sidecar) awaitLeave(ctx context.Context) error {
	if s.conf.StateDir == "" {
		<-ctx.Done()
		return nil
	}
	name := filepath.Join(s.conf.StateDir, leaveSocket)
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) { // left by a sidecar that was killed
		return fmt.Errorf("--state-dir: %w", err)
	}
	var lc net.ListenConfig
	lis, err := lc.Listen(ctx, "unix", name)
	if err != nil {
		return fmt.Errorf("--state-dir: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = lis.Close() })
	defer stop()
	for {
		conn, err := lis.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		_ = conn.Close()
		s.proxy.Leave()
	}
}
