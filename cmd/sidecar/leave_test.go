package main

import (
	"context"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/probe"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// The hook of an injected sidecar has it ask clients to leave; it serves them and says that it is ready until it is
// stopped, and then the hook fails.
func TestLeave(t *testing.T) {
	t.Parallel()
	dir, state := t.TempDir(), t.TempDir()
	write(t, dir, "orders.yaml", policyFor(gatetest.NewIssuer("https://corp.example", "one"), "clerk"))
	p := start(t, newApp(t), "--policies", dir, "--state-dir", state, "--drain-wait", "1h")
	closes := func() bool {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/public", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK && response.Close
	}
	if closes() {
		t.Error("it asks clients to leave, though nobody told it to")
	}
	if status, err := askToEnd(t, p, time.Minute); err != nil || status != http.StatusOK {
		t.Errorf("a container whose liveness probe failed is not let go: %d, %v", status, err)
	}
	leave := func() (string, error) {
		out, err := exec.Command(program, "leave", "--state-dir", state).CombinedOutput()
		return string(out), err
	}
	for range 2 {
		if out, err := leave(); err != nil {
			t.Fatalf("leave: %v: %s", err, out)
		}
	}
	p.eventually(t, "clients are asked to leave", closes)
	if _, err := askToEnd(t, p, 100*time.Millisecond); err == nil {
		t.Error("the app's container may end before clients had time to leave")
	}
	if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusOK {
		t.Errorf("readyz = %d, want 200: it serves still", got)
	}
	p.stop(t)
	if out, err := leave(); err == nil || !strings.Contains(out, "no sidecar runs with it") {
		t.Errorf("leave of a sidecar that is gone: %v: %s", err, out)
	}
}

// askToEnd asks as the preStop hook of the app's container does, and waits for the answer.
func askToEnd(t *testing.T, p *process, wait time.Duration) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.admin+probe.HoldPath, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
