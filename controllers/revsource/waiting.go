package revsource

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/bearerguard/bearerguard/controllers/keys"
)

// Bounds of how many events wait for new keys of one source. Those that were fetched from a transmitter do not count: atATime bounds them.
const (
	// maxNewKeys bounds all that were posted, and maxNewKeysOf those of one address.
	maxNewKeys, maxNewKeysOf = 64, 16
	// maxProven bounds those of addresses that have posted a good event before; they have these places beside the others.
	maxProven = 32
	// provenKept is how many such addresses are remembered of a source.
	provenKept = 16
)

// fetched is where events come from that nobody has posted.
var fetched = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

// caller is who has posted an event.
type caller struct {
	from netip.Prefix
	// proven says that good events have come from there.
	proven bool
}

// newKeys tells those who wait that a source has been fetched. It is safe for concurrent use.
//
// Whoever can reach the port can make tokens of unknown keys, so who waits is not known to be a provider. No few addresses take all places: where
// there is none left, who comes takes that of the address which has most, as long as this one has more than the newcomer would have. As many
// addresses as there are places could still take them all; so addresses that good events have come from have places of their own.
type newKeys struct {
	mu sync.Mutex
	of map[string]*awaited // guarded by mu; by id of the source
}

// awaited is a source that is being fetched, and who waits for that.
type awaited struct {
	done    chan struct{} // closed once it has been fetched
	waiting int           // of all, however they came
	posted  room          // of those that were posted, from addresses that nothing is known of
	proven  room          // the same, from those that good events have come from
}

// room is who waits, by address, the longest first. A channel is closed if its place is taken.
type room struct {
	n    int
	from map[netip.Prefix][]chan struct{}
}

func (n *newKeys) checked(c keys.Checked) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a := n.of[c.ID]; a != nil {
		close(a.done)
		delete(n.of, c.ID)
	}
}

// wait returns once a source has been fetched after ask. The error is errTooSoon if that takes too long, errTooMany if the address has as
// many that wait as it may, and errCrowded if the source has.
func (n *newKeys) wait(ctx context.Context, id string, by caller, ask func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, newKeysWait)
	defer cancel()
	a, taken, err := n.enter(id, by)
	if err != nil {
		return err
	}
	defer n.leave(id, a, by, taken)
	ask(id)
	select {
	case <-a.done:
		return nil
	case <-taken:
		return errTooMany
	case <-ctx.Done():
		return errTooSoon
	}
}

// enter takes a place; taken is closed if somebody else gets it.
func (n *newKeys) enter(id string, by caller) (a *awaited, taken chan struct{}, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a = n.of[id]; a == nil {
		a = &awaited{done: make(chan struct{})}
	}
	taken = make(chan struct{})
	if r, most := a.room(by); r != nil {
		if err := r.enter(by.from, taken, most); err != nil {
			return nil, nil, err
		}
	}
	if n.of == nil {
		n.of = map[string]*awaited{}
	}
	n.of[id] = a
	a.waiting++
	return a, taken, nil
}

// leave is for who waits no more, be it that the source has been fetched.
func (n *newKeys) leave(id string, a *awaited, by caller, taken chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r, _ := a.room(by); r != nil {
		r.leave(by.from, taken)
	}
	if a.waiting--; a.waiting == 0 && n.of[id] == a {
		delete(n.of, id)
	}
}

// room is where a caller waits, and how many may there; nil: it is not counted.
func (a *awaited) room(by caller) (*room, int) {
	switch {
	case by.from == fetched:
		return nil, 0
	case by.proven:
		return &a.proven, maxProven
	}
	return &a.posted, maxNewKeys
}

func (r *room) enter(from netip.Prefix, taken chan struct{}, most int) error {
	if len(r.from[from]) >= maxNewKeysOf {
		return errTooMany
	}
	if r.n >= most && !r.displace(from) {
		return errCrowded
	}
	if r.from == nil {
		r.from = map[netip.Prefix][]chan struct{}{}
	}
	r.n++
	r.from[from] = append(r.from[from], taken)
	return nil
}

// displace takes a place from the address that has most, and reports false if that has no more than from would have.
func (r *room) displace(from netip.Prefix) bool {
	var victim netip.Prefix
	for p, all := range r.from {
		if len(all) > len(r.from[victim]) {
			victim = p
		}
	}
	all := r.from[victim]
	if len(all) <= len(r.from[from])+1 {
		return false
	}
	close(all[0])
	r.leave(victim, all[0])
	return true
}

// leave gives a place back, if it has not been taken.
func (r *room) leave(from netip.Prefix, taken chan struct{}) {
	all := r.from[from]
	i := slices.Index(all, taken)
	if i < 0 {
		return
	}
	r.n--
	if all = slices.Delete(all, i, i+1); len(all) == 0 {
		delete(r.from, from)
		return
	}
	r.from[from] = all
}

// proven remembers the addresses that good events of a source have come from last. It is safe for concurrent use.
type proven struct {
	mu  sync.Mutex
	all []netip.Prefix // guarded by mu; the newest last
}

func (p *proven) has(from netip.Prefix) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.all, from)
}

func (p *proven) note(from netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.all); n > 0 && p.all[n-1] == from {
		return
	}
	p.all = append(slices.DeleteFunc(p.all, func(x netip.Prefix) bool { return x == from }), from)
	if len(p.all) > provenKept {
		p.all = slices.Delete(p.all, 0, 1)
	}
}
