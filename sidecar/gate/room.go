package gate

import (
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultMaxWaiting bounds the requests that wait for keys at one time.
const DefaultMaxWaiting = 2000

const (
	// maxSights bounds what is remembered of tokens that fail for want of their key.
	maxSights = 4096
	// samples is how many waiting requests are looked at for one that gives way.
	samples = 16
)

// room has the requests that wait for keys, and what is known of the keys that they wait for.
type room struct {
	most int // immutable
	seed maphash.Seed

	mu      sync.Mutex
	next    chan struct{} // guarded by mu; closed when there is news
	waiters []*waiter     // guarded by mu; in no order
	clients map[netip.Addr]int
	checked map[string]time.Time // guarded by mu; by key set: when the last look at it began
	sights  map[sight]*span      // guarded by mu
}

// Places bounds the requests of one connection that wait for keys at a time, so that they leave some of what the connection
// may have to others. It is safe for concurrent use.
type Places struct {
	// Most is the bound.
	Most int32

	taken atomic.Int32
}

// enter takes a place. It returns false if there is none.
func (p *Places) enter() bool {
	if p == nil || p.taken.Add(1) <= p.Most {
		return true
	}
	p.taken.Add(-1)
	return false
}

func (p *Places) leave() {
	if p != nil {
		p.taken.Add(-1)
	}
}

// waiter is one request that waits.
type waiter struct {
	client netip.Addr
	out    chan struct{} // closed when it has to give way
	at     int           // guarded by room.mu: its place among waiters; -1: it has none
}

// sight is what tokens have in common that fail for want of one key: from one client, for one key set, with one key id.
type sight struct {
	client netip.Addr
	source string
	keyID  uint64 // a hash, so that long ids take no room
}

// span is how long such tokens have been coming.
type span struct{ first, last time.Time }

func newRoom(most int) *room {
	return &room{
		most: most, seed: maphash.MakeSeed(), next: make(chan struct{}),
		clients: map[netip.Addr]int{}, checked: map[string]time.Time{}, sights: map[sight]*span{},
	}
}

// ClientOf returns what counts as one client: an address of IPv4, a network of 64 bits of IPv6, since whoever has one
// address of that has all.
func ClientOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// sight returns what tells a token that fails for want of a key from others.
func (r *room) sight(client netip.Addr, source, keyID string) sight {
	return sight{client: ClientOf(client), source: source, keyID: maphash.String(r.seed, keyID)}
}

// wake gives news to all who wait.
func (r *room) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.next)
	r.next = make(chan struct{})
}

// check notes that a key set has been looked at, and wakes all.
func (r *room) check(source string, began time.Time) {
	r.mu.Lock()
	if began.After(r.checked[source]) {
		r.checked[source] = began
	}
	r.mu.Unlock()
	r.wake()
}

// looked reports whether all these key sets have been looked at since a time. next is closed at the next news.
func (r *room) looked(sources []string, since time.Time) (next <-chan struct{}, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next, r.lookedSince(sources, since)
}

// lookedSince is called with mu held.
func (r *room) lookedSince(sources []string, since time.Time) bool {
	for _, s := range sources {
		if at, ok := r.checked[s]; !ok || at.Before(since) {
			return false
		}
	}
	return true
}

// disproved notes that a token fails for want of its key, and reports whether the like of it came before the last look at
// the keys, which was not long ago, and did not help it.
func (r *room) disproved(s sight, sources []string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.sights[s]
	if p == nil {
		if len(r.sights) >= maxSights {
			r.thin()
		}
		p = &span{first: now}
		r.sights[s] = p
	}
	lately := now.Sub(p.last) < disprovedFor && r.lookedSince(sources, now.Add(-disprovedFor))
	p.last = now
	if !r.lookedSince(sources, p.first) {
		return false
	}
	if !lately {
		p.first = now
	}
	return lately
}

// thin makes room for another sight: some that the map happens to give first go. It is called with mu held.
func (r *room) thin() {
	n := maxSights / 8
	for s := range r.sights {
		if n--; n < 0 {
			return
		}
		delete(r.sights, s)
	}
}

// forget drops what is remembered of tokens whose key has come.
func (r *room) forget(s sight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sights, s)
}

// enter gives a request a place, or nil if there is none. Where all are taken, one of a client that has more of them gives
// way.
func (r *room) enter(client netip.Addr) *waiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiters) >= r.most {
		other := r.greediest()
		if other == nil || r.clients[other.client] <= r.clients[client]+1 {
			return nil
		}
		close(other.out)
		r.remove(other)
	}
	w := &waiter{client: client, out: make(chan struct{}), at: len(r.waiters)}
	r.waiters = append(r.waiters, w)
	r.clients[client]++
	return w
}

// greediest returns, of some requests, one of the client that has most places; nil if nobody waits. It is called with mu
// held.
func (r *room) greediest() (most *waiter) {
	if len(r.waiters) == 0 {
		return nil
	}
	for range samples {
		w := r.waiters[rand.N(len(r.waiters))] //nolint:gosec // nothing secret hangs on it
		if most == nil || r.clients[w.client] > r.clients[most.client] {
			most = w
		}
	}
	return most
}

// leave gives a place back.
func (r *room) leave(w *waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(w)
}

// remove is called with mu held.
func (r *room) remove(w *waiter) {
	if w.at < 0 {
		return
	}
	last := len(r.waiters) - 1
	r.waiters[w.at] = r.waiters[last]
	r.waiters[w.at].at = w.at
	r.waiters[last] = nil
	r.waiters = r.waiters[:last]
	w.at = -1
	if r.clients[w.client]--; r.clients[w.client] == 0 {
		delete(r.clients, w.client)
	}
}
