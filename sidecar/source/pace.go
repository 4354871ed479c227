package source

import (
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/bearerguard/bearerguard/api/bundle"
)

// How long a sidecar waits between connections. When a controller goes, thousands of sidecars lose it in the same instant. One that has
// rules can wait: at first up to soonWait, since there may be another replica, and after each try that fails twice as long as before, up to
// longestWait. One that has none does not wait for long.
const (
	soonWait    = time.Second
	longestWait = 15 * time.Second
	bareWait    = 200 * time.Millisecond
	longestBare = 3 * time.Second
)

// pace is how soon to connect again. Its zero value is that of a sidecar which has not connected yet.
type pace struct {
	failed int // tries since the last good stream
	told   bool
	wait   time.Duration // what the controller told
}

// good notes that there was a good stream.
func (p *pace) good() { p.failed = 0 }

// hear takes in what the controller says at the end of a stream.
func (p *pace) hear(trailer metadata.MD) {
	values := trailer.Get(bundle.WaitTrailer)
	if len(values) != 1 {
		return
	}
	if ms, err := strconv.ParseUint(values[0], 10, 32); err == nil {
		p.told, p.wait = true, min(time.Duration(ms)*time.Millisecond, longestWait) //nolint:gosec // 32 bits
	}
}

// next returns how long to wait now, for a sidecar that has rules or not.
func (p *pace) next(rules bool) time.Duration {
	n, told, wait := p.failed, p.told, p.wait
	p.failed, p.told = min(n+1, 10), false
	switch {
	case told:
		return wait
	case !rules:
		return upper(min(bareWait<<n, longestBare))
	case n == 0:
		return rand.N(soonWait) //nolint:gosec // jitter
	default:
		return upper(min(soonWait<<n, longestWait))
	}
}

// upper is between half of d and d.
func upper(d time.Duration) time.Duration { return d/2 + rand.N(d/2) } //nolint:gosec // jitter
