package push

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/printable"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// helloWait bounds how long a caller may take to say Hello.
const helloWait = 10 * time.Second

// maxUnsettled bounds what is remembered of bundles that were sent and neither acknowledged nor refused.
const maxUnsettled = 64

// stream is one sidecar's connection. It has one goroutine, which receives; what is to be sent is sent by another, which lasts for
// that alone, since there are thousands of streams that have nothing to say most of the time.
type stream struct {
	opened time.Time
	rpc    pushv1.Push_StreamServer
	ending ending
	turn   atomic.Pointer[func()] // ends the newest turn to send
	stand  func()                 // stands in line for a turn to send; nil: the stream is not open yet

	// Guarded by Server.mu.
	sending     bool   // it stands in line, or is sending
	more        bool   // there may be more to send after that
	told        uint64 // what is gone, as far as the sidecar was told of it
	hears       bool   // the sidecar wants to be told
	leaves      bool   // the sidecar wants to be told that its pod is being deleted, and was not
	confirms    bool   // the sidecar wants to be told that its version is the newest
	confirm     string // the version that it is to be told so of
	last        string // the version that the sidecar has or was sent last
	unsettled   []sent // oldest first
	acked       *compile.Ref
	rejected    *compile.Ref
	reason      string
	has         revoked.Version // the revocations that the sidecar has or was sent last; zero: none
	came        revoked.Version // those that it came with
	whole       bool            // the last ones were sent as a whole
	revocations Revocations
	lacking     string                         // as Sidecar.Lacking
	open        string                         // as Sidecar.Open
	foreign     string                         // as Sidecar.Foreign
	unsaved     bool                           // as Sidecar.Unsaved
	asked       map[string]time.Time           // key sets, of the pod's bundles, that the sidecar wants looked at, and since when
	answers     map[string]*pushv1.KeysChecked // to be sent, by key set
}

// sent is a bundle on its way.
type sent struct {
	ref   *compile.Ref
	since time.Time // when it could have been there, for the latency
}

// wake makes what is due be sent when it is the stream's turn. It is called with Server.mu held.
func (c *stream) wake() {
	switch {
	case c == nil:
	case c.sending:
		c.more = true
	default:
		c.sending = true
		c.stand()
	}
}

// end makes the stream end with err, unless something else does already. It does not block.
func (c *stream) end(err error) { c.ending.with(err) }

// Stream serves one sidecar, as push.proto says.
func (s *Server) Stream(rpc pushv1.Push_StreamServer) error {
	id, err := apart(func() (Identity, error) { return s.authenticate(rpc.Context()) })
	if err != nil {
		return err
	}
	if from, ok := strangerOf(rpc.Context()); ok {
		from.leave()
	}
	c := &stream{opened: time.Now(), rpc: rpc}
	if err := c.ending.of(rpc.Context()); err != nil {
		return err
	}
	h, err := c.hello()
	if err != nil {
		return c.ending.cause(err)
	}
	c.hears = bundle.Features(h.GetFeatures())&bundle.FeatureGone != 0
	c.leaves = bundle.Features(h.GetFeatures())&bundle.FeatureLeaving != 0
	c.confirms = bundle.Features(h.GetFeatures())&bundle.FeatureCurrent != 0
	c.holds(h.GetRevocations())
	p := s.open(id, c, h.GetVersion())
	defer s.close(p, c)
	s.config.Log.V(1).Info("sidecar connected", "namespace", id.Namespace, "pod", id.Pod, "release", printable.Text(h.GetSidecarVersion(), 64))
	return c.ending.cause(s.serve(p, c, id))
}

// apart calls f in a goroutine of its own. What verifies signatures needs a stack that a stream would keep for as long as it lasts.
func apart[T any](f func() (T, error)) (out T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, err = f()
	}()
	<-done
	return out, err
}

// hello receives the first message.
func (c *stream) hello() (*pushv1.Hello, error) {
	late := time.AfterFunc(helloWait, func() { c.end(status.Error(codes.DeadlineExceeded, "no Hello; want one as the first message")) })
	defer late.Stop()
	m, err := c.rpc.Recv()
	if err != nil {
		return nil, err
	}
	if m.GetHello() == nil {
		return nil, status.Error(codes.InvalidArgument, "the first message is not a Hello")
	}
	return m.GetHello(), nil
}

// authenticate says who is calling, and returns the answer to those who are not served.
func (s *Server) authenticate(ctx context.Context) (Identity, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return Identity{}, status.Error(codes.Unauthenticated, "want one authorization with the pod's service-account token")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Identity{}, status.Error(codes.Unauthenticated, "authorization is not a Bearer token")
	}
	id, err := s.config.Reviewer.Review(ctx, token)
	switch {
	case errors.Is(err, ErrRefused):
		return Identity{}, status.Error(codes.Unauthenticated, err.Error())
	case err != nil:
		s.config.Log.Error(err, "token review is not possible")
		return Identity{}, status.Error(codes.Unavailable, "the token cannot be reviewed now; try again")
	case !id.Expires.IsZero() && !time.Now().Before(id.Expires):
		return Identity{}, status.Error(codes.Unauthenticated, "the token has expired")
	}
	return id, s.serves(ctx, id.Namespace)
}

// open makes c the stream of its pod; an older one ends.
func (s *Server) open(id Identity, c *stream, version string) *pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	pods := s.namespaces[id.Namespace]
	if pods == nil {
		pods = map[string]*pod{}
		s.namespaces[id.Namespace] = pods
	}
	p := pods[id.UID]
	if p == nil {
		p = &pod{namespace: id.Namespace, name: id.Pod, uid: id.UID}
		pods[id.UID] = p
	}
	if p.stream != nil {
		p.stream.end(status.Error(codes.Aborted, "the pod has opened another stream"))
	}
	c.last = version
	c.stand = func() { s.turns.take(p.namespace, func(end func()) { s.send(p, c, end) }) }
	p.stream = c
	c.wake()
	s.config.Metrics.streams.Inc()
	s.changed(p.namespace)
	return p
}

func (s *Server) close(p *pod, c *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.Metrics.streams.Dec()
	if p.stream != c {
		return
	}
	s.forget(p)
	if p.bundle == nil {
		delete(s.namespaces[p.namespace], p.uid)
		s.tidy(p.namespace)
	}
}

// serve receives what the sidecar says until the stream ends.
func (s *Server) serve(p *pod, c *stream, id Identity) error {
	age := time.AfterFunc(s.age(id), func() {
		c.endFor(0, status.Error(codes.Unavailable, "the stream has lasted long enough; connect again with a fresh token"))
	})
	defer age.Stop()
	arrival := time.AfterFunc(s.config.Arrival, func() {
		if !s.arrived(p) {
			c.end(status.Error(codes.NotFound, "the pod is not known"))
		}
	})
	defer arrival.Stop()
	for {
		m, err := c.rpc.Recv()
		if err != nil {
			return err
		}
		s.heard(p, c, m)
	}
}

// send sends what is due; it is the stream's turn until end is called.
func (s *Server) send(p *pod, c *stream, end func()) {
	s.mu.Lock()
	c.more = false
	s.mu.Unlock()
	c.turn.Store(&end)
	if c.rpc.Context().Err() != nil || !s.sendDue(p, c, end) {
		end()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.sending = false
	if c.more {
		c.wake()
	}
}

// sendDue sends what is due. The turn goes on until a bundle is acknowledged, and ends here if none is sent. false: the stream is over.
func (s *Server) sendDue(p *pod, c *stream, end func()) bool {
	kept := false
	for _, m := range s.due(p, c) {
		kept = kept || len(m.GetBundle()) > 0
		if err := c.rpc.Send(m); err != nil {
			c.end(err)
			return false
		}
	}
	if !kept {
		end()
	}
	return true
}

// due returns what to send now. Revocations come before bundles, since none may be used without. Answers come last: the bundle with the keys that
// they are about may be there by then.
func (s *Server) due(p *pod, c *stream) (out []*pushv1.ServerMessage) {
	if s.takeLeaving(p, c) {
		out = append(out, &pushv1.ServerMessage{Leaving: true})
	}
	out = append(out, s.owed(p, c)...)
	m := &pushv1.ServerMessage{Gone: s.departed(p, c)}
	if b := s.next(p, c); b != nil {
		m.Version, m.Bundle = b.Ref.Version, b.Encoded
	}
	if m.Bundle != nil || m.Gone != nil {
		out = append(out, m)
	}
	if v := s.takeConfirmation(c); v != "" {
		out = append(out, &pushv1.ServerMessage{Current: v})
	}
	for _, k := range s.takeAnswers(c) {
		out = append(out, &pushv1.ServerMessage{KeysChecked: k})
	}
	return out
}

// takeConfirmation returns the version that the sidecar is to be told is the newest, once.
func (s *Server) takeConfirmation(c *stream) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := c.confirm
	c.confirm = ""
	return v
}

// age is how long the stream of a caller may last.
func (s *Server) age(id Identity) time.Duration {
	most := s.config.MaxStreamAge
	d := most - rand.N(most/10+1)
	if !id.Expires.IsZero() {
		d = min(d, time.Until(id.Expires))
	}
	return max(d, 0)
}

func (s *Server) arrived(p *pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.bundle != nil
}

// next returns the bundle to send now, or nil if the sidecar has the newest.
func (s *Server) next(p *pod, c *stream) *compile.Bundle {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := p.bundle
	if b == nil || p.stream != c {
		return nil
	}
	if b.Ref.Version == c.last {
		if c.acked == nil && len(c.unsettled) == 0 && c.rejected == nil { // the sidecar came with the newest
			c.acked = b.Ref
			if c.confirms {
				c.confirm = b.Ref.Version
			}
			s.changed(p.namespace)
		}
		return nil
	}
	c.last = b.Ref.Version
	since := p.set
	if since.Before(c.opened) {
		since = c.opened
	}
	if len(c.unsettled) == maxUnsettled {
		c.unsettled = slices.Delete(c.unsettled, 0, 1)
	}
	c.unsettled = append(c.unsettled, sent{ref: b.Ref, since: since})
	return b
}
