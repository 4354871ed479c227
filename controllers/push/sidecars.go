package push

import (
	"maps"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

// Sidecar is the state of one sidecar that is connected, or was.
type Sidecar struct {
	Namespace, Pod, UID string
	// Lost is since when it is not connected; zero: it is.
	Lost time.Time
	// Moved says that it was lost because the replica that it was connected to went away, not the sidecar.
	Moved bool
	// Acked is what the sidecar uses; nil if nothing yet.
	Acked *compile.Ref
	// Rejected is what it refused after that, and Reason why; nil if nothing.
	Rejected *compile.Ref
	Reason   string
	// Revocations is how far it has got with those.
	Revocations Revocations
	// Lacking has the ids of the key sets that it is to have and has no keys of, one a line.
	Lacking string
	// Open has the ports at which its pod can be reached past it, such as "18080, 19090"; Foreign those on which another protocol
	// than HTTP is spoken, such as "8443 TLS". Both are short.
	Open, Foreign string
	// Unsaved says that it could not save what it uses for a restart.
	Unsaved bool
}

// Lacks reports whether the sidecar has no keys of a key set that it is to have.
func (c Sidecar) Lacks(keySet string) bool {
	for id := range strings.SplitSeq(c.Lacking, "\n") {
		if id == keySet && id != "" {
			return true
		}
	}
	return false
}

// replica is what another replica reports. Its fields are guarded by Server.mu.
type replica struct {
	from     *incoming // the newest stream
	since    time.Time // when the first began
	sidecars map[string]map[string]Sidecar
	failing  map[string]string // why key sources cannot be read there, by key set
	over     *time.Timer       // forgets the replica after its stream has ended
	ended    time.Time         // when that was
}

// Sidecars returns the sidecars of a namespace by the UIDs of their pods: those that are connected, to other replicas too as far
// as these report here, and those that were and whose pods are still there.
func (s *Server) Sidecars(namespace string) map[string]Sidecar {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]Sidecar{}
	for uid, p := range s.namespaces[namespace] {
		if !p.lost.Lost.IsZero() {
			out[uid] = p.lost
		}
	}
	for _, over := range []bool{true, false} { // what a replica that is there says holds
		for _, r := range s.replicas {
			if (r.over != nil) == over {
				maps.Copy(out, r.sidecars[namespace])
			}
		}
	}
	for uid, p := range s.namespaces[namespace] {
		if p.stream != nil {
			out[uid] = p.state()
		}
	}
	return out
}

// lose notes that a sidecar of another replica is not connected to it any more. It is called with mu held.
func (s *Server) lose(c Sidecar, at time.Time) {
	p := s.namespaces[c.Namespace][c.UID]
	if p == nil || p.bundle == nil || c.UID == "" {
		return // its pod is gone, or not known yet
	}
	c.Lost = at
	p.lost = c
}

// state is called with mu held.
func (p *pod) state() Sidecar {
	return Sidecar{
		Namespace: p.namespace, Pod: p.name, UID: p.uid,
		Acked: p.stream.acked, Rejected: p.stream.rejected, Reason: p.stream.reason,
		Revocations: p.stream.revocations,
		Lacking:     p.stream.lacking, Open: p.stream.open, Foreign: p.stream.foreign, Unsaved: p.stream.unsaved,
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

// setLed notes whether this replica reports to another.
func (s *Server) setLed(led bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.led = led
}
