package main

import (
	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/memlimit"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
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
	may := memlimit.Cache(limit, gate.DefaultCacheBytes)
	if asked != gate.DefaultCacheBytes || asked == may {
		return asked
	}
	log.V(1).Info("the cache of verified tokens has a quarter of the memory limit", "bytes", may)
	return may
}

// boundConnections lowers the default bounds of client connections to what the memory limit holds besides the cache, so that nobody can have the
// kernel end the sidecar by opening connections. Of HTTP/2 there may be half as many, as by default: they hold more. Others are what was asked for.
func boundConnections(l *proxy.Limits, limit, cache int64, tls bool, log logr.Logger) {
	holds := memlimit.Connections(limit, cache, tls)
	if l.Connections == flags.DefaultConnections && holds < flags.DefaultConnections {
		l.Connections = int(holds)
		log.V(1).Info("as many client connections may be open as the memory limit holds", "connections", holds)
	}
	if l.HTTP2Connections == flags.DefaultHTTP2Connections && holds/2 < flags.DefaultHTTP2Connections {
		l.HTTP2Connections = int(holds / 2)
	}
}
