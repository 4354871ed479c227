package push

import (
	"slices"
	"sync"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/api/revoked"
)

const (
	// chunk is how much of a set goes into one message, in bytes: far below what gRPC takes, so that other messages of a connection and
	// other streams have their turns.
	chunk = 512 << 10
	// maxSteps bounds the changes of a namespace that are kept for sidecars which have one of the sets before the newest, in bytes. Those that a
	// stream is at are kept beyond it, as long as they are less than all of the set: while a set grows, slow sidecars would be sent all of
	// it again and again.
	maxSteps = 4 << 20
)

// Revocations is how far a sidecar has got with revocations. The zero Version is none.
type Revocations struct {
	// Acked is what it uses.
	Acked revoked.Version
	// Rejected is what it refused after that, and Reason why.
	Rejected revoked.Version
	Reason   string
}

// revocations are those of one namespace. They are safe for concurrent use.
type revocations struct {
	mu      sync.Mutex
	current *revoked.Set            // guarded by mu
	steps   []step                  // guarded by mu; each begins with what the one before it led to, the last leads to current
	size    int                     // guarded by mu; of steps, in bytes
	whole   []*pushv1.ServerMessage // guarded by mu; all of current; nil: nobody has needed it yet
}

// step is what leads from one set to the next, encoded once for all streams. Changes are kept and not the sets that they led to: a change
// of thousands of entries leaves no part of a set as it was.
type step struct {
	base     revoked.Version
	messages []*pushv1.ServerMessage
	size     int
}

// Revoke says which revocations the pods of a namespace are to have from now on. It is to be called before Set, since no sidecar may judge
// by a bundle and not know what was taken back.
func (s *Server) Revoke(namespace string, set *revoked.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.revoked[namespace]
	if r == nil {
		r = &revocations{}
		s.revoked[namespace] = r
	}
	at := map[revoked.Version]bool{}
	for _, p := range s.namespaces[namespace] {
		if p.stream != nil {
			at[p.stream.has] = true
		}
	}
	if !r.set(set, at) {
		return
	}
	for _, p := range s.namespaces[namespace] {
		p.stream.wake()
	}
}

// set reports whether that is another set than before. The streams are at some versions.
func (r *revocations) set(set *revoked.Set, at map[revoked.Version]bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil {
		base := r.current.Version()
		if base == set.Version() {
			return false
		}
		r.keep(base, revoked.Diff(r.current, set), set.Version())
		r.trim(at, set.Len()*revoked.Size)
	}
	r.current, r.whole = set, nil
	return true
}

// keep adds a step. It is called with mu held.
func (r *revocations) keep(base revoked.Version, d revoked.Delta, to revoked.Version) {
	next := step{base: base, size: d.Len() * revoked.Size}
	if next.size > maxSteps {
		r.steps, r.size = nil, 0
		return
	}
	next.messages = messagesOf(d, base[:], to)
	r.steps, r.size = append(r.steps, next), r.size+next.size
}

// trim drops the oldest steps that are beyond the bound, unless a stream needs them and they are less than a whole set. It is called with mu held.
func (r *revocations) trim(at map[revoked.Version]bool, whole int) {
	for r.size > maxSteps && (r.size >= whole || !at[r.steps[0].base]) {
		r.size -= r.steps[0].size
		r.steps = slices.Clone(r.steps[1:])
	}
}

// from returns what leads from a version to the newest one, and that; nothing if it is the newest. All of the set is sent to who has one
// that is not known here, or if that is less.
func (r *revocations) from(base revoked.Version) (messages []*pushv1.ServerMessage, to revoked.Version) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to = r.current.Version()
	if base == to {
		return nil, to
	}
	size := 0
	for i := len(r.steps) - 1; i >= 0 && size < r.current.Len()*revoked.Size; i-- {
		size += r.steps[i].size
		if r.steps[i].base != base {
			continue
		}
		for _, s := range r.steps[i:] {
			messages = append(messages, s.messages...)
		}
		return messages, to
	}
	if r.whole == nil {
		r.whole = messagesOf(revoked.Diff(nil, r.current), nil, to)
	}
	return r.whole, to
}

func messagesOf(d revoked.Delta, base []byte, to revoked.Version) (out []*pushv1.ServerMessage) {
	chunks := d.Chunks(chunk)
	for i, c := range chunks {
		out = append(out, &pushv1.ServerMessage{Revocations: &pushv1.Revocations{
			Base: base, Version: to[:], Added: c.Added, Removed: c.Removed, More: i < len(chunks)-1,
		}})
	}
	return out
}

// owed returns the revocations to send now.
func (s *Server) owed(p *pod, c *stream) []*pushv1.ServerMessage {
	s.mu.Lock()
	r := s.revoked[p.namespace]
	base, known := c.has, p.bundle != nil && p.stream == c
	s.mu.Unlock()
	if r == nil || !known {
		return nil
	}
	messages, to := r.from(base)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case messages != nil:
		c.has, c.whole = to, len(messages[0].GetRevocations().GetBase()) == 0
	case c.revocations == (Revocations{}) && c.came == to: // it came with the newest
		c.revocations.Acked = to
		s.changed(p.namespace)
	}
	return messages
}

// holds notes the revocations that a sidecar comes with. It is called before the stream is open.
func (c *stream) holds(version []byte) {
	if len(version) == len(c.has) {
		c.has = revoked.Version(version)
		c.came = c.has
	}
}

func (s *Server) ackedRevocations(p *pod, c *stream, version []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(version) == len(c.has) {
		c.revocations = Revocations{Acked: revoked.Version(version)}
		s.changed(p.namespace)
	}
}

// nackedRevocations sends a sidecar all revocations after it has refused a change of them. If it has refused all, only others are sent.
func (s *Server) nackedRevocations(p *pod, c *stream, version []byte, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(version) != len(c.has) || revoked.Version(version) != c.has {
		return // it has been sent others since
	}
	reason = printable.Text(reason, maxReason)
	if reason == "" {
		reason = "no reason given"
	}
	s.config.Metrics.nacks.Inc()
	s.config.Log.Info("sidecar refused revocations", "namespace", p.namespace, "pod", p.name, "version", c.has.String(), "reason", reason)
	c.revocations.Rejected, c.revocations.Reason = c.has, reason
	if !c.whole {
		c.has = revoked.Version{}
		c.wake()
	}
	s.changed(p.namespace)
}
