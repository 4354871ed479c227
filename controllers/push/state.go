package push

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/printable"
)

// MaxPorts is how many ports Sidecar.Open and Sidecar.Foreign name at most.
const MaxPorts = 8

// Bounds of what else is remembered of a sidecar's word of itself.
const (
	maxLacking = 128 // key sets; a pod has at most 64 issuers
	maxName    = 32  // bytes of a protocol's name
)

// told takes in what a sidecar says of itself: the key sets of its pod's bundle that it has no keys of, ports, and whether it could save what it uses.
func (s *Server) told(p *pod, c *stream, m *pushv1.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lacking, open, foreign := p.lacking(m), openPorts(m), foreignPorts(m)
	if lacking != c.lacking || open != c.open || foreign != c.foreign || m.GetUnsaved() != c.unsaved {
		c.lacking, c.open, c.foreign, c.unsaved = lacking, open, foreign, m.GetUnsaved()
		s.changed(p.namespace)
	}
}

// lacking is called with mu held.
func (p *pod) lacking(m *pushv1.State) string {
	var ids []string
	for _, k := range m.GetKeySets() {
		if k.GetCount() == 0 && p.bundle != nil && p.bundle.Names(k.GetId()) && len(ids) < maxLacking {
			ids = append(ids, k.GetId())
		}
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), "\n")
}

func openPorts(m *pushv1.State) string {
	var out []string
	for _, o := range m.GetOpenPorts() {
		if len(out) < MaxPorts && o.GetPort() < 1<<16 {
			out = append(out, strconv.FormatUint(uint64(o.GetPort()), 10))
		}
	}
	return strings.Join(out, ", ")
}

func foreignPorts(m *pushv1.State) string {
	var out []string
	for _, f := range m.GetForeignPorts() {
		if len(out) < MaxPorts && f.GetPort() < 1<<16 {
			out = append(out, strconv.FormatUint(uint64(f.GetPort()), 10)+" "+printable.Text(f.GetProtocol(), maxName))
		}
	}
	return strings.Join(out, ", ")
}
