package main

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// limitMemory tells the garbage collector of the container's memory limit, unless GOMEMLIMIT does: a tenth is left for
// what the collector does not see.
func limitMemory(log logr.Logger) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	limit := containerLimit(os.ReadFile)
	if limit <= 0 {
		return
	}
	debug.SetMemoryLimit(limit / 10 * 9)
	log.V(1).Info("memory limit found", "bytes", limit)
}

// boundCache returns how many bytes the cache of verified tokens may have: what was asked for; the default where the memory
// limit is four times that or more, else a quarter of the limit, so that a pod with little memory is not ended for want of it.
func boundCache(asked, limit int64, log logr.Logger) int64 {
	if asked != gate.DefaultCacheBytes || asked <= limit/4 {
		return asked
	}
	log.V(1).Info("the cache of verified tokens has a quarter of the memory limit", "bytes", limit/4)
	return max(limit/4, 1)
}

// containerLimit is the memory limit of the process's control group, in bytes; 0 if there is none.
func containerLimit(read func(string) ([]byte, error)) int64 {
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
