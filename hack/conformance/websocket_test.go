package conformance

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestWebSocket runs the WebSocket library ws at both ends, directly and through the proxy.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	need(t, "node")
	need(t, "npm")
	install(t)
	app := server("node", "ws/server.mjs")(t)
	for where, addr := range map[string]string{"directly": app, "through": guard(t, "http://"+app)} {
		t.Run(where, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "ws/client.mjs", addr)
			cmd.Env = append(os.Environ(), "TOKEN="+token())
			if where == "through" {
				cmd.Env = append(cmd.Env, "GUARDED=1")
			}
			out, err := cmd.CombinedOutput()
			passed := 0
			for line := range strings.Lines(string(out)) {
				line = strings.TrimSpace(line)
				name, ok := strings.CutPrefix(line, "ok ")
				if ok {
					passed++
					t.Log(name)
				} else {
					t.Error(line)
				}
			}
			if err != nil || passed < 17 {
				t.Errorf("%d cases passed: %v", passed, err)
			}
		})
	}
}

// install gets what ws/package-lock.json names, unless it is there.
func install(t *testing.T) {
	t.Helper()
	lock, err := os.Stat("ws/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := os.Stat("ws/node_modules/.package-lock.json"); err == nil && done.ModTime().After(lock.ModTime()) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--no-progress")
	cmd.Dir = "ws"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}
