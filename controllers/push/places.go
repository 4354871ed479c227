package push

import "sync"

// maxPlaces is how many may shake hands, or have done so and not shown who they are, at a time, from all addresses. One that waits for its
// turn takes 18 KiB, stack included, so all of them take 72 MiB; if all say the worst that fits into maxHello, 200 MiB. A sidecar that finds
// no place comes again after a second or two.
const maxPlaces = 4096

// places bounds how many strangers there are: who shakes hands, waits for it, or has not shown who it is. An address may have as many places as are free: alone it gets half of them,
// and however many others take as many as they can, there are some for one that has none. It is safe for concurrent use.
type places struct {
	mu    sync.Mutex
	free  int            // guarded by mu
	taken map[string]int // guarded by mu; by address, never 0
}

func newPlaces(n int) *places {
	return &places{free: n, taken: map[string]int{}}
}

// take takes a place for one from address, if there is one.
func (p *places) take(address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[address] >= p.free {
		return false
	}
	p.free--
	p.taken[address]++
	return true
}

// leave gives back a place that was taken for one from address.
func (p *places) leave(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.taken[address]--; p.taken[address] == 0 {
		delete(p.taken, address)
	}
}
