package introspect

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Options are settings of a Pool.
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Observe is told of each question what became of it, and how long it took; 0 if nobody was asked. It must not block. Nil:
	// nobody is.
	Observe func(Result, time.Duration)
}

// Pool has the endpoints of the rules in force. Connections, and what is known of endpoints that fail, outlive a change of the
// rules that does not touch them. It is safe for concurrent use.
type Pool struct {
	now     func() time.Time
	observe func(Result, time.Duration)
	turns   *turns

	mu   sync.Mutex
	open map[[sha256.Size]byte]*Endpoint // guarded by mu
}

// NewPool returns a pool without endpoints.
func NewPool(o Options) *Pool {
	p := &Pool{now: o.Now, observe: o.Observe, turns: newTurns(), open: map[[sha256.Size]byte]*Endpoint{}}
	if p.now == nil {
		p.now = time.Now
	}
	if p.observe == nil {
		p.observe = func(Result, time.Duration) {}
	}
	return p
}

// Wanted is an endpoint that rules name: an issuer with introspection, and the credential as package credential encodes it; nil:
// there is none yet.
type Wanted struct {
	Issuer     policy.Issuer
	Credential []byte
}

// Open returns the endpoints that rules name, in order; nil for one without a credential. One that cannot be used is returned, too: whoever
// asks it gets the cause, and the other issuers of the rules go on working. Those that they do not name any more are given up.
func (p *Pool) Open(wanted []Wanted) ([]*Endpoint, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := map[[sha256.Size]byte]*Endpoint{}
	out := make([]*Endpoint, len(wanted))
	for i, w := range wanted {
		if w.Credential == nil {
			continue
		}
		id, err := identity(w)
		if err != nil {
			return nil, err
		}
		e := next[id]
		if e == nil {
			e = p.open[id]
		}
		if e == nil {
			e = p.endpoint(w)
		}
		next[id], out[i] = e, e
	}
	for id, e := range p.open {
		if next[id] == nil {
			e.close()
		}
	}
	p.open = next
	return out, nil
}

// endpoint returns a new endpoint.
func (p *Pool) endpoint(w Wanted) *Endpoint {
	cred, err := credential.Decode(w.Credential)
	if err != nil {
		return &Endpoint{pool: p, unusable: fmt.Errorf("introspection.credentialsSecretRef: %w", err)}
	}
	e, err := newEndpoint(p, w.Issuer, cred)
	if err != nil {
		return &Endpoint{pool: p, unusable: err}
	}
	return e
}

// identity is the same for endpoints that are asked in the same way.
func identity(w Wanted) ([sha256.Size]byte, error) {
	spec := *w.Issuer.Introspection
	spec.CacheTTL = nil
	text, err := json.Marshal([]any{spec, w.Issuer.Issuer, w.Credential})
	return sha256.Sum256(text), err
}

// State is what may be shown of a pool.
type State struct {
	// Running is how many questions run, Endpoints how many endpoints there are, and Open how many of them are left alone, since
	// they fail.
	Running, Endpoints, Open int
}

// State returns what the pool does now.
func (p *Pool) State() State {
	s := State{Running: p.turns.now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Endpoints = len(p.open)
	for _, e := range p.open {
		if e.asked.open() {
			s.Open++
		}
	}
	return s
}
