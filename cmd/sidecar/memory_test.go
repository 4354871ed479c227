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

func TestTheDefaultOfTheFlagIsThatOfTheGate(t *testing.T) {
	t.Parallel()
	var v flags.Values
	v.Define(pflag.NewFlagSet("", pflag.ContinueOnError))
	if v.TokenCacheBytes != gate.DefaultCacheBytes {
		t.Errorf("--token-cache-bytes is %d by default, the gate's own default is %d", v.TokenCacheBytes, gate.DefaultCacheBytes)
	}
}
