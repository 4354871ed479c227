package push

import (
	"crypto/sha256"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
)

// Checked says that a key set has been looked at anew.
type Checked struct {
	// KeySet is its id.
	KeySet string
	// Began is when the look began: it answers those who asked before.
	Began time.Time
	// JWKS is the key set as it is now.
	JWKS []byte
	// Next is when another look could be asked for.
	Next time.Time
}

// unknownKey takes in that a sidecar wants a key set looked at. It can ask for those of its own bundle alone.
func (s *Server) unknownKey(p *pod, c *stream, m *pushv1.UnknownKey) {
	if s.noteAsked(p, c, m) {
		s.config.UnknownKey(m.GetKeySet())
	}
}

// noteAsked notes who is to be answered. It reports whether the key set is one that the pod was given.
func (s *Server) noteAsked(p *pod, c *stream, m *pushv1.UnknownKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := m.GetKeySet()
	if id == "" || p.bundle == nil || !p.bundle.Names(id) {
		return false
	}
	if m.GetAnswer() {
		if c.asked == nil {
			c.asked = map[string]time.Time{}
		}
		c.asked[id] = time.Now()
	}
	return true
}

// KeysChecked answers the sidecars that wanted the key set looked at. If it has changed, the bundles that have it may be set
// before or after that.
func (s *Server) KeysChecked(k Checked) {
	now, digest := time.Now(), sha256.Sum256(k.JWKS)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pods := range s.namespaces {
		for _, p := range pods {
			if p.stream == nil {
				continue
			}
			at, ok := p.stream.asked[k.KeySet]
			if !ok || k.Began.Before(at) {
				continue
			}
			delete(p.stream.asked, k.KeySet)
			if p.stream.answers == nil {
				p.stream.answers = map[string]*pushv1.KeysChecked{}
			}
			p.stream.answers[k.KeySet] = &pushv1.KeysChecked{
				KeySet: k.KeySet, Digest: digest[:],
				BeganAfterMs: milliseconds(k.Began.Sub(at)), NextAfterMs: milliseconds(k.Next.Sub(now)),
			}
			p.stream.wake()
		}
	}
}

func milliseconds(d time.Duration) uint64 {
	return uint64(max(0, d.Milliseconds())) //nolint:gosec // not negative
}

// takeAnswers returns the answers to send now.
func (s *Server) takeAnswers(c *stream) map[string]*pushv1.KeysChecked {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := c.answers
	c.answers = nil
	return out
}
