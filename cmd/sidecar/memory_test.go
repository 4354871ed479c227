package main

import (
	"math"
	"testing"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/sidecar/gate"
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
		asked        int
		limit, cache int64
		tls          bool
		want         int
	}{
		"no limit":                              {10000, math.MaxInt64, 24 * mib, true, 10000},
		"an injected sidecar's limit":           {10000, 128 * mib / 10 * 9, 24 * mib, false, 7577},
		"an injected sidecar's limit, with TLS": {10000, 128 * mib / 10 * 9, 24 * mib, true, 3788},
		"no cache":                              {10000, 128 * mib / 10 * 9, -1, true, 5324},
		"twice the memory":                      {10000, 256 * mib / 10 * 9, 24 * mib, true, 10000},
		"a pod of little memory":                {10000, 24 * mib / 10 * 9, 5 * mib, false, 256},
		"more, as somebody wants it":            {10001, 128 * mib / 10 * 9, 24 * mib, true, 10001},
		"fewer":                                 {100, 24 * mib / 10 * 9, 5 * mib, true, 100},
	} {
		if got := boundConnections(tt.asked, tt.limit, tt.cache, tt.tls, logr.Discard()); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
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
