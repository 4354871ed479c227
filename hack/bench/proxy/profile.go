package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// profile records where the proxy's time goes while the load runs, if PERF=1 asks for it. In virtual machines without
// hardware counters the kernel's clock is sampled.
func (b *bench) profile(p *process, r row) (*exec.Cmd, error) {
	if !b.perf {
		return nil, nil //nolint:nilnil // nothing to record
	}
	file := filepath.Join(b.tools, "perf-"+strings.ReplaceAll(r.id(), "/", "-")+".data")
	cmd := exec.Command("perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "--call-graph", "fp", "-o", file, "-p", strconv.Itoa(p.pid())) //nolint:noctx // profiled ends it
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT, Setpgid: true}
	return cmd, cmd.Start()
}

// profiled ends a recording, so that perf writes its file.
func (b *bench) profiled(cmd *exec.Cmd) {
	if cmd != nil {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
	}
}
