package revsource

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/controllers/keys"
)

const (
	// newKeysWait is how long an event waits for keys that are fetched because of it.
	newKeysWait = 3 * time.Second
	// maxNewKeys bounds how many events wait so.
	maxNewKeys = 64
)

var (
	errNoKeys   = errors.New("the keys of the issuer have not been read yet")
	errTooSoon  = errors.New("the key is not known, and keys were fetched a moment ago")
	errCrowded  = errors.New("too many events are being verified")
	errRepeated = errors.New("jti: another token with it has come before")
)

// verifies has the keys of a source, read once for as long as they stay the same.
type verifies struct {
	mu   sync.Mutex
	text []byte      // guarded by mu
	keys *keyset.Set // guarded by mu
}

// of returns the keys of a set in canonical form.
func (v *verifies) of(text []byte) ([]keyset.Key, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys == nil || !bytes.Equal(v.text, text) {
		set, err := keyset.Parse(text, keyset.Public)
		if err != nil {
			return nil, errNoKeys
		}
		v.text, v.keys = text, set
	}
	return v.keys.Keys(), nil
}

// newKeys tells those who wait that a source has been fetched.
type newKeys struct {
	mu      sync.Mutex
	waiting map[string][]chan struct{} // guarded by mu; by id of the source
	n       int                        // guarded by mu
}

func (n *newKeys) checked(c keys.Checked) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, done := range n.waiting[c.ID] {
		close(done)
		n.n--
	}
	delete(n.waiting, c.ID)
}

// wait returns once a source has been fetched after ask, or false if that takes too long or too many wait.
func (n *newKeys) wait(ctx context.Context, id string, ask func(string)) bool {
	ctx, cancel := context.WithTimeout(ctx, newKeysWait)
	defer cancel()
	done := make(chan struct{})
	n.mu.Lock()
	if n.n >= maxNewKeys {
		n.mu.Unlock()
		return false
	}
	if n.waiting == nil {
		n.waiting = map[string][]chan struct{}{}
	}
	n.waiting[id] = append(n.waiting[id], done)
	n.n++
	n.mu.Unlock()
	ask(id)
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	rest := n.waiting[id][:0]
	for _, c := range n.waiting[id] {
		if c != done {
			rest = append(rest, c)
		}
	}
	if len(rest) < len(n.waiting[id]) {
		n.n--
	}
	if n.waiting[id] = rest; len(rest) == 0 {
		delete(n.waiting, id)
	}
	return false
}

// keysOf returns the keys of a source.
func (r *Receiver) keysOf(s *served) ([]keyset.Key, error) {
	state, ok := r.keys.States(s.ref.Namespace)[s.keyID]
	if !ok || state.Keys == 0 {
		return nil, errNoKeys
	}
	return s.verifies.of(state.Set.JWKS)
}

// keysPoll is how often it is looked whether keys that are being read are there.
const keysPoll = 50 * time.Millisecond

// firstKeys is keysOf, but that it waits for keys that have not been tried to be read yet: many a provider sends an event once.
func (r *Receiver) firstKeys(ctx context.Context, s *served) ([]keyset.Key, error) {
	known, err := r.keysOf(s)
	if err == nil || r.keys.Settled(s.ref.Namespace) {
		return known, err
	}
	ctx, cancel := context.WithTimeout(ctx, newKeysWait)
	defer cancel()
	look := time.NewTicker(keysPoll)
	defer look.Stop()
	for err != nil && !r.keys.Settled(s.ref.Namespace) {
		select {
		case <-look.C:
			known, err = r.keysOf(s)
		case <-ctx.Done():
			return known, err
		}
	}
	return r.keysOf(s)
}
