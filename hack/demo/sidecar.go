package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/bearerguard/bearerguard/hack/freeport"
)

// sidecar is the real sidecar, as a process of its own.
type sidecar struct {
	url, admin, log string
	process         *os.Process
	done            chan struct{} // closed when the process has ended
}

// startSidecar starts the program in standalone mode and waits until it is ready.
func startSidecar(ctx context.Context, program, dir, policies, upstream string) (*sidecar, error) {
	listen, err := freeport.Address(ctx)
	if err != nil {
		return nil, err
	}
	admin, err := freeport.Address(ctx)
	if err != nil {
		return nil, err
	}
	s := &sidecar{
		url: "http://" + listen, admin: "http://" + admin,
		log: filepath.Join(dir, "sidecar.log"), done: make(chan struct{}),
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, "run", "--policies", policies, "--listen", listen, "--upstream", upstream, "--admin", admin) //nolint:noctx // stop ends it with SIGTERM, so that it drains
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = quietEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo, which then ends it
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the sidecar (make builds it): %w", err)
	}
	s.process = cmd.Process
	go func() {
		_ = cmd.Wait()
		close(s.done)
	}()
	if !s.ready(ctx) {
		s.stop()
		return nil, fmt.Errorf("the sidecar does not get ready; its log:\n%s", s.logTail())
	}
	return s, nil
}

// ready waits until /readyz says that a snapshot is loaded.
func (s *sidecar) ready(ctx context.Context) bool {
	ready := false
	waitFor(ctx, 15*time.Second, func() bool {
		select {
		case <-s.done:
			return true
		default:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.admin+"/readyz", nil)
		if err != nil {
			return true
		}
		resp, err := client().Do(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		ready = resp.StatusCode == http.StatusOK
		return ready
	})
	return ready
}

// stop ends the process as Kubernetes does: SIGTERM, and SIGKILL if that is not enough.
func (s *sidecar) stop() {
	_ = s.process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
		_ = s.process.Kill()
		<-s.done
	}
}

// logTail returns the last lines of the sidecar's log.
func (s *sidecar) logTail() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// quietEnv is the environment without settings for another sidecar.
func quietEnv() []string {
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "BEARERGUARD_") {
			env = append(env, pair)
		}
	}
	return env
}
