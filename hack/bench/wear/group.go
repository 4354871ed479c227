package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bearerguard/bearerguard/api/memlimit"
)

// group is a control group of version 2 with a memory limit, as a container has one: what the kernel holds for sockets counts to it, and the kernel
// ends a process that needs more (https://docs.kernel.org/admin-guide/cgroup-v2.html).
type group struct {
	dir   *os.File
	limit int64 // bytes
}

// newGroup makes one below the root. That takes root, a kernel of 5.19 or later for memory.peak, and the memory controller.
func newGroup(limit int64) (*group, error) {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cgroup.controllers"); err != nil {
		return nil, errors.New("control groups here are not of version 2; make bench-wear-vm brings a kernel that has them")
	}
	path, err := os.MkdirTemp(root, "wear")
	if err != nil {
		return nil, err
	}
	for file, value := range map[string]string{"memory.max": strconv.FormatInt(limit, 10), "memory.swap.max": "0"} {
		if err := os.WriteFile(filepath.Join(path, file), []byte(value), 0o600); err != nil && file == "memory.max" {
			_ = os.Remove(path)
			return nil, fmt.Errorf("the memory controller (cgroup.subtree_control): %w", err)
		}
	}
	dir, err := os.Open(path) //nolint:gosec // it has just been made
	return &group{dir: dir, limit: limit}, err
}

// remove removes the group once its last process is gone.
func (g *group) remove() {
	for end := time.Now().Add(5 * time.Second); os.Remove(g.dir.Name()) != nil && time.Now().Before(end); {
		<-time.After(20 * time.Millisecond)
	}
	_ = g.dir.Close()
}

// has a process that is to be started run in the group, with the environment that injection gives a sidecar.
func (g *group) has(s *sidecar) {
	s.cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.dir.Fd())}
	s.cmd.Env = append(os.Environ(), fmt.Sprint("GOMEMLIMIT=", memlimit.Collector(g.limit)))
}

// value is the number that a file of the group has, behind the key if there is one; 0 if there is none.
func (g *group) value(file, key string) int64 {
	b, _ := os.ReadFile(filepath.Join(g.dir.Name(), file)) //nolint:gosec // the kernel's
	for line := range bytes.Lines(b) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(string(line)), key)
		if n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64); ok && err == nil {
			return n
		}
	}
	return 0
}

// mostOf is the most that a value is until ctx ends.
func (g *group) mostOf(ctx context.Context, file, key string) (most int64) {
	for ctx.Err() == nil {
		most = max(most, g.value(file, key))
		<-time.After(20 * time.Millisecond)
	}
	return most
}

// siege is what an attack did to a sidecar in a group.
type siege struct {
	name                 string
	conns, opened        int64 // wanted at a time, and opened in all
	limit, peak, sockets int64 // bytes
	killed               bool
	answered, lost       int // requests of the well-behaved client, meanwhile
	after                int // of them, lost after the attack
}

func (s *siege) good() bool { return !s.killed && s.after == 0 && s.opened > 0 }

func (s *siege) String() string {
	end := "lives"
	switch {
	case s.killed:
		end = "KILLED by the kernel"
	case s.opened == 0:
		end = "MISSED: no connection was opened"
	case s.after > 0:
		end = fmt.Sprintf("MISSED: %d requests lost after the attack", s.after)
	}
	return fmt.Sprintf("%-50s %5d %6d  %4d of %d, %4d   %7d %5d   %s", s.name, s.conns, s.opened, s.peak>>20, s.limit>>20, s.sockets>>20, s.answered, s.lost, end)
}

// besiege runs one attack against a sidecar in a group of its own.
func besiege(ctx context.Context, o *options, app string, a attack) (*siege, error) {
	g, err := newGroup(o.memory)
	if err != nil {
		return nil, err
	}
	defer g.remove()
	s, err := startSidecar(ctx, o, app, a.over != plaintext, g)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	polite, err := newPolite(s)
	if err != nil {
		return nil, err
	}
	defer polite.close()
	r := &siege{name: a.name, conns: int64(a.conns), limit: g.limit}
	attackCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	sockets := make(chan int64, 1)
	go func() { sockets <- g.mostOf(attackCtx, "memory.stat", "sock ") }()
	f := &force{ctx: attackCtx, sidecar: s, conns: a.conns}
	f.attack(a)
	polite.run(ctx, o.duration)
	cancel()
	r.opened = f.opened.Load()
	r.answered, r.lost, r.sockets = polite.answered, polite.lost, <-sockets
	f.done.Wait()
	if r.killed = g.value("memory.events", "oom_kill ") > 0; !r.killed {
		polite.run(ctx, 2*time.Second)
		r.after = polite.lost - r.lost
	}
	r.peak = g.value("memory.peak", "")
	return r, ctx.Err()
}
