package push

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// remembered is how long a review's answer stands. The API server itself remembers for about as long.
	remembered    = 10 * time.Second
	maxIdentities = 20_000
)

// identities remembers reviewed tokens, by their hash. It is safe for concurrent use.
type identities struct {
	mu   sync.Mutex
	byID map[[sha256.Size]byte]remembrance // guarded by mu
}

type remembrance struct {
	id    Identity
	until time.Time
}

func newIdentities() *identities {
	return &identities{byID: map[[sha256.Size]byte]remembrance{}}
}

func (i *identities) get(token string, now time.Time) (Identity, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	r, ok := i.byID[sha256.Sum256([]byte(token))]
	return r.id, ok && now.Before(r.until)
}

func (i *identities) put(token string, id Identity, now time.Time) {
	until := now.Add(remembered)
	if !id.Expires.IsZero() && id.Expires.Before(until) {
		until = id.Expires
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.byID) >= maxIdentities {
		for k, r := range i.byID {
			if !now.Before(r.until) {
				delete(i.byID, k)
			}
		}
	}
	if len(i.byID) >= maxIdentities {
		return
	}
	i.byID[sha256.Sum256([]byte(token))] = remembrance{id: id, until: until}
}
