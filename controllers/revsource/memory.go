package revsource

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxRemembered is how many tokens are remembered of a source, in each of two generations: 3 MiB when both are full.
const maxRemembered = 16_384

// memory knows which tokens have come. It is safe for concurrent use. What it has forgotten can be stored again and does no harm: the
// entries of a token follow from the token.
type memory struct {
	mu        sync.Mutex
	now, last map[digest]digest // guarded by mu; last is what now was before it was full
	noted     time.Time         // guarded by mu
}

// digest stands for a token or its jti.
type digest [16]byte

func newMemory() *memory { return &memory{now: map[digest]digest{}} }

func tokenKey(raw string) digest { return short(sha256.Sum256([]byte("t" + raw))) }
func idKey(jti string) digest    { return short(sha256.Sum256([]byte("j" + jti))) }

func short(sum [sha256.Size]byte) digest { return digest(sum[:16]) }

// has reports whether a key is remembered.
func (m *memory) has(k digest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.get(k)
	return ok
}

func (m *memory) get(k digest) (digest, bool) {
	if by, ok := m.now[k]; ok {
		return by, true
	}
	by, ok := m.last[k]
	return by, ok
}

// claim remembers a key and by whom, and reports false if somebody else did before.
func (m *memory) claim(k, by digest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if holder, ok := m.get(k); ok {
		return holder == by
	}
	if len(m.now) >= maxRemembered {
		m.now, m.last = map[digest]digest{}, m.now
	}
	m.now[k] = by
	return true
}

// note reports whether it is time to store that events come, though they bring nothing new.
func (m *memory) note(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.noted) < noteEvery {
		return false
	}
	m.noted = now
	return true
}

// release forgets a key: nothing came of it.
func (m *memory) release(k digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.now, k)
	delete(m.last, k)
}
