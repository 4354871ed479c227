package main

import (
	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/flags"
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

// What memory is for besides the cache, in bytes. A connection's is what `make bench-wear` and a container's own account say at most, the
// kernel's part and the app's side included.
const (
	plainConnection = 8 << 10
	tlsConnection   = 16 << 10 // crypto/tls keeps buffers
	allElse         = 32 << 20
	leastBound      = 256 // connections
)

// boundConnections returns how many client connections may be open: what was asked for, or, of the default, as many as the memory limit
// affords besides the cache, so that nobody can have the kernel end the sidecar by opening connections.
func boundConnections(asked int, limit, cache int64, tls bool, log logr.Logger) int {
	each := int64(plainConnection)
	if tls {
		each = tlsConnection
	}
	affords := max(limit-max(cache, 0)-allElse, leastBound*each) / each
	if asked != flags.DefaultConnections || affords >= int64(asked) {
		return asked
	}
	log.V(1).Info("as many client connections may be open as the memory limit affords", "connections", affords)
	return int(affords)
}
