package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// profile records where the proxy's time goes while the load runs, if PERF=1 asks for it. The kernel's clock is sampled,
// which virtual machines without hardware counters have too. It begins before the load and ends by itself after it: to
// start or stop sampling a busy real-time process can take for ever.
func (b *bench) profile(p *process, r row) (*exec.Cmd, error) {
	if !b.perf {
		return nil, nil //nolint:nilnil // nothing to record
	}
	file := filepath.Join(b.tools, "perf-"+strings.ReplaceAll(r.id(), "/", "-")+".data")
	os.Remove(file)
	cmd := b.pinned(loadCore, "timeout", "-s", "KILL", "60", "perf", "record", "-e", "cpu-clock", "-F", "997", "--call-graph", "fp",
		"-o", file, "-p", strconv.Itoa(p.pid()), "--", "sleep", seconds(b.time+2*time.Second))
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("PERF=1 needs perf (Debian: linux-perf): %w", err)
	}
	for range 100 { // until it records
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			break
		}
		pause(20 * time.Millisecond)
	}
	pause(500 * time.Millisecond)
	return cmd, nil
}

// profiled waits for the end of a recording.
func (b *bench) profiled(cmd *exec.Cmd) {
	if cmd != nil {
		_ = cmd.Wait()
	}
}
