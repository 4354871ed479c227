package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// heading says what was run where, and how quiet the machine was.
func (b *bench) heading(before machine) string {
	after := readMachine()
	mode := fmt.Sprintf("%d rounds of %s", b.rounds, b.time)
	if b.quick {
		mode = "QUICK: " + mode
	}
	if b.priority != nil {
		mode += ", " + strings.Join(b.priority, " ")
	}
	return fmt.Sprintf("%s, %s, Linux %s, %s; %s; %s; load %s before and %s after, %.1f %% of the time stolen by the host.",
		time.Now().UTC().Format(time.DateOnly), cpuModel(), kernel(), runtime.Version(), versions(), mode,
		before.load, after.load, after.stolenSince(before))
}

// machine is how busy the machine is.
type machine struct {
	load          string  // over a minute
	stolen, total float64 // ticks since the start
}

func readMachine() machine {
	var m machine
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.load, _, _ = strings.Cut(string(text), " ")
	}
	if text, err := os.ReadFile("/proc/stat"); err == nil {
		first, _, _ := strings.Cut(string(text), "\n")
		for i, field := range strings.Fields(first) {
			v, _ := strconv.ParseFloat(field, 64)
			m.total += v
			if i == 8 { // proc_stat(5): steal
				m.stolen = v
			}
		}
	}
	return m
}

func (m machine) stolenSince(before machine) float64 {
	return (m.stolen - before.stolen) * 100 / max(m.total-before.total, 1)
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name")
	name, _, _ := strings.Cut(strings.TrimLeft(rest, "\t: "), "\n")
	return fmt.Sprintf("%s, %d cores", name, runtime.NumCPU())
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}

// versions are the others' releases.
func versions() string {
	haproxy, _ := exec.Command("haproxy", "-v").Output()     //nolint:noctx // at once
	nginx, _ := exec.Command("nginx", "-v").CombinedOutput() //nolint:noctx // at once
	h, _, _ := strings.Cut(string(haproxy), " 20")           // the date
	h = strings.Replace(h, "HAProxy version", "HAProxy", 1)  // "HAProxy 2.6.12-1+deb12u4"
	n := strings.TrimPrefix(strings.TrimSpace(string(nginx)), "nginx version: ")
	return h + ", " + n
}

// remember keeps the least time that the fixed piece of work took beside any row of this and of former runs: the machine
// at its best.
func (b *bench) remember(m map[string]sample) {
	file := filepath.Join(b.tools, "spin.best")
	b.best = math.Inf(1)
	if text, err := os.ReadFile(file); err == nil {
		if v, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64); err == nil {
			b.best = v
		}
	}
	for _, s := range m {
		if s.spin < b.best {
			b.best = s.spin
		}
	}
	if !math.IsInf(b.best, 1) {
		_ = os.WriteFile(file, []byte(strconv.FormatFloat(b.best, 'f', 0, 64)+"\n"), 0o644) // the next run has its own
	}
}
