package main

import (
	"math"
	"testing"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

func TestTheCacheIsBoundedByTheMemoryLimit(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, tt := range map[string]struct{ asked, limit, want int64 }{
		"no limit":                      {24 * mib, math.MaxInt64, 24 * mib},
		"an injected sidecar's limit":   {24 * mib, 128 * mib / 10 * 9, 24 * mib},
		"a pod of little memory":        {24 * mib, 24 * mib / 10 * 9, 24 * mib / 10 * 9 / 4},
		"no cache":                      {-1, 24 * mib, -1},
		"less than it may":              {mib, 24 * mib, mib},
		"more, as somebody wants it":    {64 * mib, 128 * mib, 64 * mib},
		"a limit that allows no memory": {24 * mib, 0, 1},
	} {
		if got := boundCache(tt.asked, tt.limit, logr.Discard()); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", name, got, tt.want)
		}
	}
}

func TestConnectionsAreBoundedByTheMemoryLimit(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, tt := range map[string]struct {
		asked, http2 int
		limit, cache int64
		tls          bool
		want, want2  int
	}{
		"no limit":                              {10000, 5000, math.MaxInt64, 24 * mib, true, 10000, 5000},
		"an injected sidecar's limit":           {10000, 5000, 128 * mib / 10 * 9, 24 * mib, false, 3788, 1894},
		"an injected sidecar's limit, with TLS": {10000, 5000, 128 * mib / 10 * 9, 24 * mib, true, 2525, 1262},
		"no cache":                              {10000, 5000, 128 * mib / 10 * 9, -1, true, 3549, 1774},
		"half the memory":                       {10000, 5000, 64 * mib / 10 * 9, 64 * mib / 10 * 9 / 4, false, 716, 358},
		"half the memory, with TLS":             {10000, 5000, 64 * mib / 10 * 9, 64 * mib / 10 * 9 / 4, true, 477, 238},
		"twice the memory":                      {10000, 5000, 256 * mib / 10 * 9, 24 * mib, false, 10000, 5000},
		"twice the memory, with TLS":            {10000, 5000, 256 * mib / 10 * 9, 24 * mib, true, 7441, 3720},
		"a pod of little memory":                {10000, 5000, 24 * mib / 10 * 9, 5 * mib, false, 256, 128},
		"more, as somebody wants it":            {10001, 5001, 128 * mib / 10 * 9, 24 * mib, true, 10001, 5001},
		"fewer":                                 {100, 10, 24 * mib / 10 * 9, 5 * mib, true, 100, 10},
	} {
		l := proxy.Limits{Connections: tt.asked, HTTP2Connections: tt.http2}
		if boundConnections(&l, tt.limit, tt.cache, tt.tls, logr.Discard()); l.Connections != tt.want || l.HTTP2Connections != tt.want2 {
			t.Errorf("%s: %d and %d of HTTP/2, want %d and %d", name, l.Connections, l.HTTP2Connections, tt.want, tt.want2)
		}
	}
}

func TestTheDefaultOfTheFlagIsThatOfTheGate(t *testing.T) {
	t.Parallel()
	var v flags.Values
	v.Define(pflag.NewFlagSet("", pflag.ContinueOnError))
	if v.TokenCacheBytes != gate.DefaultCacheBytes {
		t.Errorf("--token-cache-bytes is %d by default, the gate's own default is %d", v.TokenCacheBytes, gate.DefaultCacheBytes)
	}
}
