package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// process is what /proc tells of one.
type process int

// rss is its resident memory, in MiB.
func (p process) rss() float64 {
	kib, _ := strconv.ParseFloat(strings.TrimSuffix(p.field("status", "VmRSS:"), " kB"), 64)
	return kib / 1024
}

// received counts the bytes that it has read, from sockets above all.
func (p process) received() float64 {
	n, _ := strconv.ParseFloat(p.field("io", "rchar:"), 64)
	return n
}

func (p process) field(file, name string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p, file))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// cpu is the processor time that it has used.
func (p process) cpu() time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every architecture of Linux that Go knows
	_, after, ok := strings.Cut(p.whole("stat"), ") ")
	fields := strings.Fields(after)
	if !ok || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}

func (p process) whole(file string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p, file))
	return string(text)
}

// child finds a child of this process by the name of its program.
func child(name string) (process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p := process(pid)
		if p.field("status", "PPid:") == strconv.Itoa(os.Getpid()) && strings.HasPrefix(name, p.field("status", "Name:")) {
			return p, nil
		}
	}
	return 0, errors.New("no process " + name)
}

// peak is the most that rss is until ctx ends.
func (p process) peak(ctx context.Context) (most float64) {
	for ctx.Err() == nil {
		most = max(most, p.rss())
		<-time.After(50 * time.Millisecond)
	}
	return most
}
