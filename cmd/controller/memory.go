package main

import (
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/memlimit"
)

// garbagePercent is how much garbage may gather, in percent of what is live and of stacks. Of a controller with thousands of sidecars both
// are large and last: with half of Go's default there are collections twice as often, and by reckoning a quarter less memory.
const garbagePercent = 50

// setMemory tells the garbage collector of the container's memory limit and of garbagePercent, unless GOGC is set.
func setMemory(log logr.Logger) {
	if limit := memlimit.Set(); limit > 0 {
		log.V(1).Info("memory limit found", "bytes", limit)
	}
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(garbagePercent)
	}
}
