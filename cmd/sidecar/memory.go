package main

import (
	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/memlimit"
	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// limitMemory tells the garbage collector of the container's memory limit, unless GOMEMLIMIT does.
func limitMemory(log logr.Logger) {
	if limit := memlimit.Set(); limit > 0 {
		log.V(1).Info("memory limit found", "bytes", limit)
	}
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
