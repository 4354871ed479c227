package token

import (
	"sync"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
)

// maxMemo is how many outcomes a token remembers; more are worked out again.
const maxMemo = 64

// memo remembers what a key made of one token, so that several issuer entries with the same key cost one operation.
// What is remembered depends on nothing but the token and the key: which algorithms and which keys an issuer allows is
// settled before, by each verifier for itself. It is safe for concurrent use.
type memo[T any] struct {
	mu       sync.Mutex // guards outcomes, and makes those wait who ask meanwhile
	outcomes []outcome[T]
	one      [1]outcome[T] // room for the first: most tokens meet one key
}

type outcome[T any] struct {
	key   keyset.Key
	value T
}

// do returns the outcome of work with this very key, which it does once.
func (m *memo[T]) do(k keyset.Key, work func() T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.outcomes {
		if m.outcomes[i].key.Same(k) {
			return m.outcomes[i].value
		}
	}
	value := work()
	if m.outcomes == nil {
		m.outcomes = m.one[:0]
	}
	if len(m.outcomes) < maxMemo {
		m.outcomes = append(m.outcomes, outcome[T]{k, value})
	}
	return value
}

// opened is what decryption with one key yields.
type opened struct {
	ok      bool
	plain   string
	inner   *Token           // plain, where it is said to be a token and is one
	refusal decision.Refusal // why it is not one
}
