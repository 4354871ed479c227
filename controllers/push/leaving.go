package push

// Leaving tells the sidecar of a pod, once, that its pod is being deleted: the kubelet's own word may come later on a busy node. It
// does not block.
func (s *Server) Leaving(namespace, uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.namespaces[namespace][uid]; p != nil && !p.leaving {
		p.leaving = true
		p.stream.wake()
	}
}

// takeLeaving reports whether the sidecar is to be told now that its pod is being deleted.
func (s *Server) takeLeaving(p *pod, c *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.leaving || !c.leaves {
		return false
	}
	c.leaves = false
	return true
}
