package push

import (
	"time"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

// Sidecar is the state of one connected sidecar.
type Sidecar struct {
	Namespace, Pod, UID string
	// Acked is what the sidecar uses; nil if nothing yet.
	Acked *compile.Ref
	// Rejected is what it refused after that, and Reason why; nil if nothing.
	Rejected *compile.Ref
	Reason   string
}

// replica is what another replica reports. Its fields are guarded by Server.mu.
type replica struct {
	from     *incoming // the newest stream
	sidecars map[string]map[string]Sidecar
	over     *time.Timer // forgets the replica after its stream has ended
}

// Sidecars returns the connected sidecars of a namespace by the UIDs of their pods, those of other replicas included as
// far as they report here.
func (s *Server) Sidecars(namespace string) map[string]Sidecar {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]Sidecar{}
	for _, r := range s.replicas {
		for uid, c := range r.sidecars[namespace] {
			out[uid] = c
		}
	}
	for uid, p := range s.namespaces[namespace] {
		if p.stream != nil {
			out[uid] = p.state()
		}
	}
	return out
}

// state is called with mu held.
func (p *pod) state() Sidecar {
	return Sidecar{
		Namespace: p.namespace, Pod: p.name, UID: p.uid,
		Acked: p.stream.acked, Rejected: p.stream.rejected, Reason: p.stream.reason,
	}
}

// local returns the sidecars that are connected to this replica, by UID.
func (s *Server) local() map[string]Sidecar {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]Sidecar{}
	for _, pods := range s.namespaces {
		for uid, p := range pods {
			if p.stream != nil {
				out[uid] = p.state()
			}
		}
	}
	return out
}

// watchLocal makes changes of local sidecars signal c from now on; nil ends it.
func (s *Server) watchLocal(c chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = c
}
