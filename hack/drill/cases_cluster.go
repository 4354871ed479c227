package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

func clusterCases() []drillCase {
	return []drillCase{
		{
			name: "API server hangs for 40 s",
			what: "SIGSTOP, then SIGCONT; sidecars go on, and an edit bites afterwards",
			run: func(ctx context.Context, w *world) error {
				p, err := processOf("kube-apiserver")
				if err != nil {
					return err
				}
				w.fault()
				if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
					return err
				}
				pause(ctx, 40*time.Second)
				if err := syscall.Kill(p.pid, syscall.SIGCONT); err != nil {
					return err
				}
				return w.editBites(ctx, 90*time.Second)
			},
		},
		{
			name: "API server down for 30 s",
			what: "killed and started again; sidecars go on, and an edit bites afterwards",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				return w.restart(ctx, "kube-apiserver", 30*time.Second)
			},
		},
		{
			name: "etcd restarted", quick: true,
			what: "killed and started again at once",
			run: func(ctx context.Context, w *world) error {
				w.fault()
				return w.restart(ctx, "etcd", time.Second)
			},
		},
		{
			name: "watches expired (410)",
			what: "the controllers are stopped while objects change, etcd is compacted and the API server starts anew; they list again",
			run:  expire,
		},
	}
}

// process is a running process and how to start it again.
type process struct {
	pid  int
	args []string
}

// processOf finds the process of a program.
func processOf(program string) (process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return process{}, err
	}
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err != nil || len(text) == 0 {
			continue
		}
		args := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
		if args[0] == program || strings.HasSuffix(args[0], "/"+program) {
			return process{pid: pid, args: args}, nil
		}
	}
	return process{}, fmt.Errorf("no process %s", program)
}

// start runs a process again, without a parent that ends with the drill.
func (p process) start() error {
	c := exec.CommandContext(context.Background(), p.args[0], p.args[1:]...) //nolint:gosec // what ran before; it outlives the drill
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	go func() { _ = c.Wait() }()
	return nil
}

// restart kills a program of the node, starts it again after a while, and waits until an edit bites.
func (w *world) restart(ctx context.Context, program string, away time.Duration) error {
	p, err := processOf(program)
	if err != nil {
		return err
	}
	if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
		return err
	}
	pause(ctx, away)
	if err := p.start(); err != nil {
		return err
	}
	if err := w.editBites(ctx, 90*time.Second); err != nil {
		return err
	}
	w.told(w.says(ctx, "authpolicy/orders", "Ready", "True/", 30*time.Second))
	return nil
}

// expire makes the controllers' watches too old to go on.
func expire(ctx context.Context, w *world) error {
	if _, err := command(ctx, "", "pkill", "-STOP", "-f", "^/controller"); err != nil {
		return err
	}
	defer func() { _, _ = command(ctx, "", "pkill", "-CONT", "-f", "^/controller") }()
	w.fault()
	var changes []string
	for i := range 20 {
		changes = append(changes, fmt.Sprintf("change-%d", i))
		if _, err := w.kubectl(ctx, "-n", shop, "create", "configmap", changes[i]); err != nil {
			return err
		}
	}
	revision, err := w.get(ctx, shop, "configmap/change-19", ".metadata.resourceVersion")
	if err != nil {
		return err
	}
	if _, err := command(ctx, "", "curl", "-sS", "--fail", "-d", `{"revision":"`+revision+`","physical":true}`, "http://127.0.0.1:2379/v3/kv/compaction"); err != nil {
		return err
	}
	p, err := processOf("kube-apiserver")
	if err != nil {
		return err
	}
	err = errors.Join(syscall.Kill(p.pid, syscall.SIGKILL), p.start())
	pause(ctx, 5*time.Second)
	if _, problem := command(ctx, "", "pkill", "-CONT", "-f", "^/controller"); problem != nil {
		return errors.Join(err, problem)
	}
	_, _ = w.kubectl(ctx, append([]string{"-n", shop, "delete", "configmap", "--ignore-not-found"}, changes...)...)
	return errors.Join(err, w.editBites(ctx, 90*time.Second))
}
