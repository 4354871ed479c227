package proxy

import (
	"sync/atomic"
	"time"
)

// reliefEvery is how often a loop that works asks how much less the kernel has to hold: what it holds grows only then, and by as much as 10 MiB in 10 ms.
const reliefEvery = time.Millisecond

// relief is what loops share while the kernel holds too much for all connections.
type relief struct {
	ended atomic.Uint64
	woken atomic.Bool  // all loops have been told that it is
	said  atomic.Int64 // when it was last told of, in nanoseconds since 1970
}

// says reports whether it is time to tell of it.
func (r *relief) says(now time.Time) bool {
	said := r.said.Load()
	return now.UnixNano()-said >= int64(sayEvery) && r.said.CompareAndSwap(said, now.UnixNano())
}

// looseAfter is how long the kernel has held little before it may hold as much as it finds good again.
const looseAfter = time.Second

// relieve has the kernel hold little for the loop's connections, and ends its share of them, as far as it has to hold less. Until it has not, this is
// called again soon if nothing else happens.
func (ls *loops) relieve(h *host, now time.Time) {
	if now.Sub(h.looked) < reliefEvery {
		if !h.tight.IsZero() && !h.relieves.On() { // it was woken too early
			h.Loop.Set(&h.relieves, reliefEvery)
		}
		return
	}
	defer func() { h.looked = time.Now() }() // it may have taken a while
	tight, excess := ls.proxy.config.Pressure()
	if tight {
		h.tight = now
		h.Loop.Tighten(true)
		if ls.relief.woken.CompareAndSwap(false, true) {
			ls.each(func(h *host) { h.looked = time.Time{} }) // those that sleep look as well
		}
	} else if now.Sub(h.tight) >= looseAfter {
		h.Loop.Tighten(false)
		h.tight = time.Time{}
		ls.relief.woken.Store(false)
		return
	}
	h.Loop.Set(&h.relieves, reliefEvery)
	if excess <= 0 {
		return
	}
	loops := int64(len(ls.hosts))
	n := h.Loop.Relieve((excess + loops - 1) / loops)
	ls.relief.ended.Add(uint64(n)) //nolint:gosec // not negative
	if n > 0 && ls.relief.says(now) {
		ls.proxy.config.Log.Info("connections are ended for which the kernel holds most, to stay within the memory limit: peers take too little", "connections", n)
	}
}

// Relieved returns how many connections, of clients and to apps, were ended because the kernel held too much for all.
func (p *Proxy) Relieved() uint64 { return p.loops.relief.ended.Load() }
