package dpop

import (
	"hash/maphash"
	"sync"
	"time"
)

// DefaultMemory is how many proofs a Memory has: 10 MiB, and 20 if each is of another key.
const DefaultMemory = 1 << 17

// Memory has the proofs that a process took and that are still fresh, so that none is taken twice (RFC 9449 section 11.1). It
// is bounded. Where it is full, the key with the most proofs loses its oldest one: so who fills it pushes out his own, and
// nobody is refused for it. It keeps hashes alone, by a seed of the process. It is safe for concurrent use.
type Memory struct {
	most int
	seed maphash.Seed

	mu        sync.Mutex // guards what follows
	latest    int64      // the latest time that was given to Take, in nanoseconds since 1970
	proofs    map[uint64]*taken
	oldest    *taken // of all, in the order in which they were taken
	newest    *taken
	owners    map[uint64]*owner
	ranks     map[int]*owner // by how many proofs they have: the first of a ring
	highest   int            // rank
	forgotten uint64
}

// taken is a proof that was taken.
type taken struct {
	hash         uint64
	end          int64 // when it stops to be fresh, in nanoseconds since 1970
	owner        *owner
	older, newer *taken
	next         *taken // of the owner
}

// owner is a key that proofs were made with.
type owner struct {
	hash       uint64
	count      int
	first      *taken
	last       *taken
	prev, next *owner // of the same rank
}

// NewMemory returns an empty memory for so many proofs; 0 means DefaultMemory.
func NewMemory(most int) *Memory {
	if most == 0 {
		most = DefaultMemory
	}
	return &Memory{
		most: most, seed: maphash.MakeSeed(),
		proofs: map[uint64]*taken{}, owners: map[uint64]*owner{}, ranks: map[int]*owner{},
	}
}

// Take remembers a proof for as long as the settings take it. It returns false if it is there already.
func (m *Memory) Take(p *Proof, s *Settings, now time.Time) bool {
	key := maphash.String(m.seed, p.thumbprint)
	hash := maphash.Comparable(m.seed, [2]string{p.thumbprint, p.id})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latest = max(m.latest, now.UnixNano())
	if s.end(p).UnixNano() < m.latest {
		return false // it may have been forgotten
	}
	for m.oldest != nil && m.oldest.end < m.latest {
		m.drop(m.oldest)
	}
	if _, has := m.proofs[hash]; has {
		return false
	}
	if len(m.proofs) >= m.most {
		m.drop(m.ranks[m.highest].first)
		m.forgotten++
	}
	m.add(&taken{hash: hash, end: s.end(p).UnixNano(), owner: m.owner(key)})
	return true
}

// Stats returns how many proofs there are, and how many had to be forgotten while they were fresh.
func (m *Memory) Stats() (proofs int, forgotten uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.proofs), m.forgotten
}

// owner returns the owner with this hash, who may be new.
func (m *Memory) owner(hash uint64) *owner {
	o := m.owners[hash]
	if o == nil {
		o = &owner{hash: hash}
		m.owners[hash] = o
	}
	return o
}

// add puts a proof last.
func (m *Memory) add(t *taken) {
	m.proofs[t.hash] = t
	if t.older = m.newest; t.older == nil {
		m.oldest = t
	} else {
		t.older.newer = t
	}
	m.newest = t
	if o := t.owner; o.last == nil {
		o.first, o.last = t, t
	} else {
		o.last.next, o.last = t, t
	}
	m.rank(t.owner, t.owner.count+1)
}

// drop forgets a proof, which is its owner's oldest: the oldest of all is.
func (m *Memory) drop(t *taken) {
	delete(m.proofs, t.hash)
	if t.older == nil {
		m.oldest = t.newer
	} else {
		t.older.newer = t.newer
	}
	if t.newer == nil {
		m.newest = t.older
	} else {
		t.newer.older = t.older
	}
	o := t.owner
	if o.first = t.next; o.first == nil {
		o.last = nil
		delete(m.owners, o.hash)
	}
	m.rank(o, o.count-1)
}

// rank moves an owner to another rank, one above or below its own.
func (m *Memory) rank(o *owner, count int) {
	if o.count > 0 {
		if o.next == o {
			delete(m.ranks, o.count)
		} else {
			o.prev.next, o.next.prev = o.next, o.prev
			m.ranks[o.count] = o.next
		}
	}
	if o.count = count; count > 0 {
		if first := m.ranks[count]; first == nil {
			o.prev, o.next = o, o
		} else {
			o.prev, o.next = first.prev, first
			first.prev.next, first.prev = o, o
		}
		m.ranks[count] = o
	}
	m.highest = max(m.highest, count)
	for m.highest > 0 && m.ranks[m.highest] == nil {
		m.highest--
	}
}
