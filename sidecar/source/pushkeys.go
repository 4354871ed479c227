package source

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
)

// answerWait is how long an answer of the controller is waited for: requests wait no longer. It is also how long they wait
// for a controller that cannot be reached.
const answerWait = 10 * time.Second

// asks are the key sets that are to be looked at anew. They are safe for concurrent use.
type asks struct {
	wake chan struct{} // size 1: something is to be sent

	mu   sync.Mutex
	sets map[string]*ask // guarded by mu; by id
	lost time.Time       // guarded by mu: when the last stream ended; zero while there is one
}

// ask is what has become of one wish. Its fields are guarded by asks.mu.
type ask struct {
	wanted bool      // it is to be sent
	sent   time.Time // when it was, just before; zero: it has been answered
	next   time.Time // when the controller can look at the keys again
}

func newAsks() *asks {
	return &asks{wake: make(chan struct{}, 1), sets: map[string]*ask{}, lost: time.Now()}
}

// want asks for a look at a key set; once, until that has been answered. It returns how long it is until the look can
// begin, as far as is known, and false if there has been no controller for a while.
func (a *asks) want(id string) (in time.Duration, ok bool) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.sets[id]
	if k == nil {
		k = &ask{}
		a.sets[id] = k
	}
	if k.sent.IsZero() || now.Sub(k.sent) >= answerWait {
		k.wanted = true
		a.signal()
	}
	return max(0, k.next.Sub(now)), a.lost.IsZero() || now.Sub(a.lost) < answerWait
}

// take returns the key sets to ask for now.
func (a *asks) take() (ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, k := range a.sets {
		if k.wanted {
			k.wanted, k.sent = false, time.Now()
			ids = append(ids, id)
		}
	}
	return ids
}

// answered takes over an answer. It returns when the look began, or somewhat earlier, and false if nobody asked.
func (a *asks) answered(m *pushv1.KeysChecked) (began time.Time, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.sets[m.GetKeySet()]
	if k == nil || k.sent.IsZero() {
		return began, false
	}
	began = k.sent.Add(milliseconds(m.GetBeganAfterMs()))
	k.sent, k.next = time.Time{}, time.Now().Add(milliseconds(m.GetNextAfterMs()))
	return began, true
}

// milliseconds is at most a minute, whatever a controller says.
func milliseconds(n uint64) time.Duration {
	return time.Duration(min(n, 60_000)) * time.Millisecond //nolint:gosec // small
}

// begin begins a stream: what was not answered is asked again.
func (a *asks) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = time.Time{}
	for id, k := range a.sets {
		switch {
		case k.wanted, !k.sent.IsZero() && time.Since(k.sent) < answerWait:
			k.wanted = true
			a.signal()
		default:
			delete(a.sets, id)
		}
	}
}

// end ends a stream.
func (a *asks) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = time.Now()
}

func (a *asks) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// look is a look at a key set of which is to be told once the keys that it found are in force.
type look struct {
	began  time.Time
	digest string
}

// checked takes in that the controller has looked at a key set. If that has changed, the bundle with the new keys may come
// later.
func (p *Push) checked(m *pushv1.KeysChecked) {
	if began, ok := p.asks.answered(m); ok {
		p.looks[m.GetKeySet()] = look{began: began, digest: string(m.GetDigest())}
		p.tell()
	}
}

// tell tells of the looks whose keys are in force.
func (p *Push) tell() {
	for id, l := range p.looks {
		if sum := sha256.Sum256(p.keys[id].JWKS); string(sum[:]) == l.digest {
			delete(p.looks, id)
			p.c.Checked(id, l.began)
		}
	}
}

func unknownKey(id string) *pushv1.ClientMessage {
	return &pushv1.ClientMessage{Kind: &pushv1.ClientMessage_UnknownKey{UnknownKey: &pushv1.UnknownKey{KeySet: id, Answer: true}}}
}
