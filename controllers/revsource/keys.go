package revsource

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/keyset"
)

// newKeysWait is how long an event waits for keys that are fetched because of it.
const newKeysWait = 3 * time.Second

var (
	errNoKeys   = errors.New("the keys of the issuer have not been read yet")
	errTooSoon  = errors.New("the key is not known, and keys were fetched a moment ago")
	errCrowded  = errors.New("too many events are being verified")
	errTooMany  = errors.New("the key is not known, and too many events of this address wait for new ones")
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
