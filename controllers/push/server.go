package push

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// Config is what a Server needs.
type Config struct {
	// Reviewer says who is calling. Required.
	Reviewer Reviewer
	// Metrics are counted into. Default: metrics that nobody reads.
	Metrics *Metrics
	Log     logr.Logger
	// Changed is called when a sidecar of a namespace came, went, acknowledged or refused, here or at another replica.
	// It must not block. Default: nothing.
	Changed func(namespace string)
	// UnknownKey is called when a sidecar wants a key set looked at anew, since newer keys could verify a token.
	// KeysChecked is to be called once that is done. It must not block. Default: nothing.
	UnknownKey func(keySet string)
	// Failing returns why key sources cannot be read by this replica, by the ids of their key sets, for the one that leads. Default:
	// none.
	Failing func() map[string]string
	// Serves returns an error if sidecars of a namespace are not to be served, and ErrNotNow if that is not known yet. Its text is for them.
	// Default: all are served.
	Serves func(ctx context.Context, namespace string) error
	// MaxStreamAge is how long a stream lasts at most, less up to a tenth at random. Default 30m.
	MaxStreamAge time.Duration
	// Arrival is how long a stream waits for its pod to become known. Default 10s.
	Arrival time.Duration
	// Strangers is how many connections there may be at a time of those that have not shown whose they are; an address may have half of
	// them. Default 4096.
	Strangers int
}

func (c Config) withDefaults() Config {
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	if c.Changed == nil {
		c.Changed = func(string) {}
	}
	if c.UnknownKey == nil {
		c.UnknownKey = func(string) {}
	}
	if c.Failing == nil {
		c.Failing = func() map[string]string { return nil }
	}
	if c.Serves == nil {
		c.Serves = func(context.Context, string) error { return nil }
	}
	if c.MaxStreamAge <= 0 {
		c.MaxStreamAge = 30 * time.Minute
	}
	if c.Arrival <= 0 {
		c.Arrival = 10 * time.Second
	}
	if c.Strangers <= 0 {
		c.Strangers = maxStrangers
	}
	return c
}

// Server holds the newest bundle of every pod and the state of every sidecar. It is safe for concurrent use.
type Server struct {
	pushv1.UnimplementedPushServer
	config Config // immutable
	turns  *turns
	gone   departed.Set

	mu         sync.Mutex
	namespaces map[string]map[string]*pod // guarded by mu; by namespace and pod UID
	revoked    map[string]*revocations    // guarded by mu; by namespace
	replicas   map[string]*replica        // guarded by mu; by replica name
	led        bool                       // guarded by mu: this replica reports to another, which leads
	telling    bool                       // guarded by mu: streams are about to be told of what is gone
	watch      chan struct{}              // guarded by mu; signalled when a local sidecar changed; nil: nobody watches
}

// pod is a pod that a bundle or a stream is for. Its fields are guarded by Server.mu.
type pod struct {
	namespace, name, uid string
	bundle               *compile.Bundle // nil: the pod is not known yet
	set                  time.Time       // when bundle became the newest
	stream               *stream         // nil: not connected
	publication          *publication    // that made bundle the newest, while its trace waits for the sidecar
	leaving              bool            // it is being deleted
	lost                 Sidecar         // what its sidecar was when it was lost last, here or at another replica; zero: never
}

// Target is a pod and what it is to get.
type Target struct {
	Pod    string
	Bundle *compile.Bundle
}

// New returns a Server.
func New(c Config) (*Server, error) {
	if c.Reviewer == nil {
		return nil, errors.New("push: Reviewer is missing; without it nobody could be told from anybody")
	}
	return &Server{
		config: c.withDefaults(), turns: newTurns(turnsAtATime), namespaces: map[string]map[string]*pod{}, revoked: map[string]*revocations{},
		replicas: map[string]*replica{},
	}, nil
}

// Set says what the pods of a namespace are to get from now on, by their UIDs. Streams of pods that it does not mention,
// and that had something before, end: their pods are gone.
func (s *Server) Set(namespace string, targets map[string]Target) {
	s.SetBelow(nil, namespace, targets)
}

// SetBelow is Set as a step of what span is of: a span below it lasts until the sidecars that are connected have answered. span is not kept; nil:
// nothing is traced.
func (s *Server) SetBelow(span *tracing.Span, namespace string, targets map[string]Target) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	publication := s.publish(span, namespace, now)
	defer s.awaited(publication)
	pods := s.namespaces[namespace]
	if pods == nil {
		pods = map[string]*pod{}
		s.namespaces[namespace] = pods
	}
	for uid, t := range targets {
		p := pods[uid]
		if p == nil {
			p = &pod{namespace: namespace, name: t.Pod, uid: uid}
			pods[uid] = p
		}
		if p.bundle == nil || p.bundle.Ref.Version != t.Bundle.Ref.Version {
			p.set = now
			publication.awaits(p, t.Bundle.Ref.Version)
			p.stream.wake()
		} else if p.stream != nil {
			p.stream.rename(t.Bundle.Ref)
		}
		p.bundle = t.Bundle
	}
	for uid, p := range pods {
		if _, ok := targets[uid]; ok || p.bundle == nil {
			continue
		}
		p.bundle = nil
		if p.stream != nil {
			p.stream.end(status.Error(codes.NotFound, "the pod is gone"))
		}
		s.forget(p)
		delete(pods, uid)
	}
	s.tidy(namespace)
	if s.namespaces[namespace] == nil { // here alone: between Revoke and Set a stream that ends must not take the revocations away
		delete(s.revoked, namespace)
	}
}

// tidy drops a namespace that nothing is left of. It is called with mu held.
func (s *Server) tidy(namespace string) {
	if len(s.namespaces[namespace]) == 0 {
		delete(s.namespaces, namespace)
	}
}

// forget drops a pod's stream from the books. It is called with mu held.
func (s *Server) forget(p *pod) {
	if p.stream == nil {
		return
	}
	p.publication.answer(p, &lost)
	p.lost = p.state()
	p.lost.Lost = time.Now()
	p.stream = nil
	s.changed(p.namespace)
}

// changed tells who wants to know that a local sidecar changed. It is called with mu held.
func (s *Server) changed(namespace string) {
	if s.watch != nil {
		signal(s.watch)
	}
	s.config.Changed(namespace)
}

// signal wakes whoever waits on a channel of size one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will look anyway
	}
}
