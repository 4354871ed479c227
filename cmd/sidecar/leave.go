package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/bearerguard/bearerguard/api/probe"
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

// undecided is how long a container of the app that is to end waits for word that the whole pod is. Without, its liveness probe
// has failed: it is to be back soon. The kubelet tells the sidecar at the same time as the container, but that takes it a process;
// the controller's word is mostly there before both.
const undecided = 2 * time.Second

// departure is the word that the pod is about to stop. Make it with newDeparture. It is safe for concurrent use.
type departure struct {
	once sync.Once
	told chan struct{} // closed when the word has come
	at   time.Time     // when it came; to be read once told is closed
}

func newDeparture() *departure { return &departure{told: make(chan struct{})} }

func (d *departure) tell() {
	d.once.Do(func() {
		d.at = time.Now()
		close(d.told)
	})
}

// heard reports whether it has come.
func (d *departure) heard() bool {
	select {
	case <-d.told:
		return true
	default:
		return false
	}
}

// hold returns when a container of the app may end: when clients have had linger to leave, and probe.HoldMore; or soon, if the
// pod stays; or when ctx is done.
func (d *departure) hold(ctx context.Context, linger time.Duration) {
	select {
	case <-d.told:
	case <-time.After(undecided):
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-time.After(time.Until(d.at.Add(linger + probe.HoldMore))):
	case <-ctx.Done():
	}
}

// hold answers the preStop hook of the app's containers.
func (s *sidecar) hold(w http.ResponseWriter, r *http.Request) {
	s.leaving.hold(r.Context(), s.conf.Limits.Linger)
	fmt.Fprintln(w, "ok")
}

// leave has the proxy leave when the pod is about to stop, unless clients are to have no time for that.
func (s *sidecar) leave(ctx context.Context) error {
	select {
	case <-s.leaving.told:
		s.settle()
	case <-ctx.Done():
	}
	return nil
}

// awaitLeave waits to be told, on a socket, that the pod is about to stop, until ctx is done. Without a state folder nobody can tell.
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
		switch {
		case err == nil:
			_ = conn.Close()
			s.leaving.tell()
			continue
		case ctx.Err() != nil:
			return nil
		}
		select { // there may be no file for it now; it waits
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
