package push

import (
	"time"

	"github.com/bearerguard/bearerguard/api/tracing"
)

const (
	// publicationTime is how long the trace of a publication waits for sidecars that say nothing.
	publicationTime = 30 * time.Second
	// maxAcks and maxNacks are how many sidecars are named in the trace of a publication.
	maxAcks, maxNacks = 16, 16
)

// publication is the trace of bundles that Set made the newest of connected pods. A nil publication is one that is not traced. It is guarded
// by Server.mu.
type publication struct {
	span     *tracing.Span
	version  map[*pod]string // of those that have not answered
	sidecars int

	acked, nacked, replaced, lost int

	late *time.Timer
}

// publish begins the trace of a publication below span, which is not kept; nil: there is none. It is called with mu held.
func (s *Server) publish(span *tracing.Span, namespace string, began time.Time) *publication {
	if span == nil {
		return nil
	}
	own := span.Fork(tracing.Internal, began)
	own.Attrs().Text("k8s.namespace.name", namespace)
	return &publication{span: own, version: map[*pod]string{}}
}

// awaits adds a pod that has a stream, and is given a version. What was published to it before is waited for no longer.
func (p *publication) awaits(x *pod, version string) {
	x.publication.answer(x, &replaced)
	if p == nil || x.stream == nil {
		return
	}
	p.sidecars++
	p.version[x] = version
	x.publication = p
}

// awaited ends p if nobody is waited for, or else has it end some time.
func (s *Server) awaited(p *publication) {
	switch {
	case p == nil:
	case len(p.version) == 0:
		p.end()
	default:
		p.late = time.AfterFunc(publicationTime, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			for x := range p.version {
				x.publication = nil
			}
			if len(p.version) > 0 {
				p.end()
			}
		})
	}
}

// outcome is what became of a bundle.
type outcome struct {
	count func(*publication) *int
	event string // empty: it is told by the number alone
	most  int
}

var (
	acked    = outcome{func(p *publication) *int { return &p.acked }, "acknowledged", maxAcks}
	nacked   = outcome{func(p *publication) *int { return &p.nacked }, "refused", maxNacks}
	replaced = outcome{func(p *publication) *int { return &p.replaced }, "", 0}
	lost     = outcome{func(p *publication) *int { return &p.lost }, "", 0}
)

// settled notes that a pod's sidecar has taken or refused a version, if it is the one that is waited for.
func (x *pod) settled(version string, o *outcome) {
	if p := x.publication; p != nil && p.version[x] == version {
		p.answer(x, o)
	}
}

// answer notes what became of a pod's bundle, and ends the trace with the last one.
func (p *publication) answer(x *pod, o *outcome) {
	if p == nil {
		return
	}
	n := o.count(p)
	*n++
	switch {
	case o.event == "":
	case *n > o.most:
		p.span.Events().Drop()
	default:
		p.span.Events().Add(o.event, time.Now(), func(a *tracing.Attrs) {
			a.Text("k8s.pod.name", x.name)
			a.Text("bearerguard.bundle.version", p.version[x])
		})
	}
	delete(p.version, x)
	x.publication = nil
	if len(p.version) == 0 && p.late != nil { // else it is being made
		p.late.Stop()
		p.end()
	}
}

func (p *publication) end() {
	a := p.span.Attrs()
	a.Int("bearerguard.sidecars", p.sidecars)
	for _, n := range []struct {
		name  string
		count int
	}{
		{"acknowledged", p.acked}, {"refused", p.nacked}, {"replaced", p.replaced}, {"lost", p.lost}, {"silent", len(p.version)},
	} {
		if n.count > 0 {
			a.Int("bearerguard.sidecars."+n.name, n.count)
		}
	}
	failed := p.nacked+len(p.version) > 0
	if p.nacked > 0 {
		a.Text("error.type", "refused")
	} else if failed {
		a.Text("error.type", "timeout")
	}
	p.span.End("publish", time.Now(), failed)
	p.version = nil
}
