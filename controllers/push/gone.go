package push

import (
	"time"

	"github.com/bearerguard/bearerguard/api/departed"
)

// gather is how long deletions are gathered before sidecars are told of them.
const gather = 500 * time.Millisecond

// Gone tells sidecars whose policies trust this cluster's service accounts that a pod or a service account was deleted, so
// that they take its tokens no more. It does not block. What is gone is remembered for departed.Life and told to sidecars that
// come later.
func (s *Server) Gone(namespace, uid string) {
	now := time.Now()
	s.gone.Add(now, departed.NewEntry(namespace, uid, now))
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.telling {
		s.telling = true
		time.AfterFunc(gather, s.tell)
	}
}

// tell wakes the streams that want to hear what is gone.
func (s *Server) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.telling = false
	for _, pods := range s.namespaces {
		for _, p := range pods {
			if p.bundle != nil && p.bundle.Accounts {
				p.stream.wake()
			}
		}
	}
}

// departed returns what the sidecar is to be told of that is gone; nil: nothing.
func (s *Server) departed(p *pod, c *stream) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.hears || p.stream != c || p.bundle == nil || !p.bundle.Accounts {
		return nil
	}
	entries, last := s.gone.After(c.told)
	c.told = last
	if len(entries) == 0 {
		return nil
	}
	return departed.Encode(entries)
}
