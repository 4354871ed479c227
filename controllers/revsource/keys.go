package revsource

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/controllers/keys"
)

const (
	// newKeysWait is how long an event waits for keys that are fetched because of it.
	newKeysWait = 3 * time.Second
	// maxNewKeys bounds how many events wait so for one source, and maxNewKeysOf how many of these come from one address. Those that
	// were fetched from a transmitter do not count: atATime bounds them.
	maxNewKeys, maxNewKeysOf = 64, 16
)

var (
	errNoKeys   = errors.New("the keys of the issuer have not been read yet")
	errTooSoon  = errors.New("the key is not known, and keys were fetched a moment ago")
	errCrowded  = errors.New("too many events are being verified")
	errTooMany  = errors.New("the key is not known, and too many events of this address wait for new ones")
	errRepeated = errors.New("jti: another token with it has come before")
)

// fetched is where events come from that nobody has posted.
var fetched = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

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

// newKeys tells those who wait that a source has been fetched. It is safe for concurrent use.
type newKeys struct {
	mu sync.Mutex
	of map[string]*awaited // guarded by mu; by id of the source
}

// awaited is a source that is being fetched, and who waits for that.
type awaited struct {
	done    chan struct{} // closed once it has been fetched
	waiting int           // of them, however they came
	posted  int           // of these, those that were posted
	from    map[netip.Prefix]int
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
func (n *newKeys) wait(ctx context.Context, id string, from netip.Prefix, ask func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, newKeysWait)
	defer cancel()
	a, err := n.enter(id, from)
	if err != nil {
		return err
	}
	defer n.leave(id, a, from)
	ask(id)
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return errTooSoon
	}
}

func (n *newKeys) enter(id string, from netip.Prefix) (*awaited, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.of[id]
	if a == nil {
		if n.of == nil {
			n.of = map[string]*awaited{}
		}
		a = &awaited{done: make(chan struct{}), from: map[netip.Prefix]int{}}
		n.of[id] = a
	}
	if from != fetched {
		switch {
		case a.from[from] >= maxNewKeysOf:
			return nil, errTooMany
		case a.posted >= maxNewKeys:
			return nil, errCrowded
		}
		a.posted++
		a.from[from]++
	}
	a.waiting++
	return a, nil
}

// leave is for who waits no more, be it that the source has been fetched.
func (n *newKeys) leave(id string, a *awaited, from netip.Prefix) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if from != fetched {
		a.posted--
		if a.from[from]--; a.from[from] == 0 {
			delete(a.from, from)
		}
	}
	if a.waiting--; a.waiting == 0 && n.of[id] == a {
		delete(n.of, id)
	}
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
