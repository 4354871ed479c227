// Package memlimit tells the garbage collector of the container's memory limit.
package memlimit

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// Set makes nine tenths of the limit of the process's control group the collector's own, unless GOMEMLIMIT is set: the rest is left for
// what the collector does not see. It returns the limit of the control group, in bytes; 0 if there is none, or it does not count.
func Set() int64 {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return 0
	}
	limit := container(os.ReadFile)
	if limit > 0 {
		debug.SetMemoryLimit(Collector(limit))
	}
	return limit
}

// Collector is what the garbage collector may use of a container's limit, in bytes.
func Collector(container int64) int64 { return container / 10 * 9 }

// container is the memory limit of the process's control group, in bytes; 0 if there is none.
func container(read func(string) ([]byte, error)) int64 {
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := read(file)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && n < 1<<50 { // version 1 writes "no limit" as a number near 2^63
			return n
		}
	}
	return 0
}
