package push

import (
	"time"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// maxReason bounds the text of a NACK that is kept, in bytes.
const maxReason = 512

// heard takes in one message. Kinds that this release does not know are passed over.
func (s *Server) heard(p *pod, c *stream, m *pushv1.ClientMessage) {
	if end := c.turn.Swap(nil); end != nil {
		(*end)()
	}
	switch k := m.GetKind().(type) {
	case *pushv1.ClientMessage_Ack:
		if v := k.Ack.GetRevocations(); len(v) > 0 {
			s.ackedRevocations(p, c, v)
			return
		}
		s.acked(p, c, k.Ack.GetVersion())
	case *pushv1.ClientMessage_Nack:
		if v := k.Nack.GetRevocations(); len(v) > 0 {
			s.nackedRevocations(p, c, v, k.Nack.GetReason())
			return
		}
		s.nacked(p, c, k.Nack.GetVersion(), printable.Text(k.Nack.GetReason(), maxReason))
	case *pushv1.ClientMessage_UnknownKey:
		s.unknownKey(p, c, k.UnknownKey)
	case *pushv1.ClientMessage_State:
		s.told(p, c, k.State)
	}
}

func (s *Server) acked(p *pod, c *stream, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := c.settle(version)
	if !ok {
		return
	}
	c.acked, c.rejected, c.reason = x.ref, nil, ""
	p.settled(version, &acked)
	s.config.Metrics.latency.Observe(time.Since(x.since).Seconds())
	s.changed(p.namespace)
}

func (s *Server) nacked(p *pod, c *stream, version, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := c.settle(version)
	if !ok {
		return
	}
	if reason == "" {
		reason = "no reason given"
	}
	c.rejected, c.reason = x.ref, reason
	p.settled(version, &nacked)
	s.config.Metrics.nacks.Inc()
	s.config.Log.Info("sidecar refused a bundle", "namespace", p.namespace, "pod", p.name, "version", version, "reason", reason)
	s.changed(p.namespace)
}

// settle takes a bundle, and those sent before it, off the list. A version that is not on it says nothing new.
func (c *stream) settle(version string) (sent, bool) {
	for i, x := range c.unsettled {
		if x.ref.Version == version {
			c.unsettled = append([]sent(nil), c.unsettled[i+1:]...)
			return x, true
		}
	}
	return sent{}, false
}

// rename takes over what a version stands for now: a policy that was deleted and made again as it was, say.
func (c *stream) rename(ref *compile.Ref) {
	if c.acked != nil && c.acked.Version == ref.Version {
		c.acked = ref
	}
	if c.rejected != nil && c.rejected.Version == ref.Version {
		c.rejected = ref
	}
	for i := range c.unsettled {
		if c.unsettled[i].ref.Version == ref.Version {
			c.unsettled[i].ref = ref
		}
	}
}
