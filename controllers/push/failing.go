package push

import (
	"errors"
	"maps"

	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/controllers/push/reportv1"
)

// maxCause bounds why a key source fails, in bytes.
const maxCause = 1024

// Failing returns why key sources cannot be read at other replicas, by the ids of their key sets. A key source is fetched by the replica
// whose sidecars ask for it, and the leader, which writes status, may be another.
func (s *Server) Failing() map[string]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]error{}
	for _, r := range s.replicas {
		for id, cause := range r.failing {
			out[id] = errors.New(cause)
		}
	}
	return out
}

// takeFailing takes in what a replica cannot read. It is called with mu held.
func (s *Server) takeFailing(r *replica, m *reportv1.Failing) {
	if m == nil {
		return
	}
	now := make(map[string]string, len(m.GetCauses()))
	for id, cause := range m.GetCauses() {
		now[id] = printable.Text(cause, maxCause)
	}
	old := r.failing
	r.failing = now
	differs := func(id string) bool { return old[id] != now[id] }
	for namespace, pods := range s.namespaces {
		if concerns(pods, old, differs) || concerns(pods, now, differs) {
			s.config.Changed(namespace)
		}
	}
}

// concerns reports whether a pod is to have one of the key sets that differ.
func concerns(pods map[string]*pod, ids map[string]string, differs func(string) bool) bool {
	for id := range maps.Keys(ids) {
		if !differs(id) {
			continue
		}
		for _, p := range pods {
			if p.bundle != nil && p.bundle.Names(id) {
				return true
			}
		}
	}
	return false
}
