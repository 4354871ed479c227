package proxy

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/logqueue"
)

// TestACrashKeepsTheLog has a process of its own end by a panic on a loop that belongs to no connection: what it has logged just before is
// read, and so is the panic with its own stack.
func TestACrashKeepsTheLog(t *testing.T) {
	const crashes = "BEARERGUARD_TEST_CRASHES"
	if os.Getenv(crashes) != "" {
		crash(t)
		return
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestACrashKeepsTheLog$") //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), crashes+"=1", "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("the process did not crash")
	}
	for _, want := range []string{`"msg":"the last line"`, "panic: canary", "proxy.crash."} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in what it said:\n%s", want, out)
		}
	}
}

func crash(t *testing.T) {
	lines := logqueue.New(os.Stderr)
	log, err := lines.Logger("json", "info")
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, Config{Log: log, Flush: func() { lines.Flush(time.Minute) }})
	p.loops.each(func(*host) {
		log.Info("the last line")
		panic("canary")
	})
	<-t.Context().Done() // the process ends before
}
