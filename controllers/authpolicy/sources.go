package authpolicy

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/revstore"
	"github.com/bearerguard/bearerguard/controllers/status"
)

// sourceEntries is what a namespace's set has of one RevocationSource.
type sourceEntries struct {
	ref     compile.RevocationRef // its generation counts how often its chunks have changed
	print   uint64                // of the chunks
	entries int
	last    time.Time // when the newest event came; zero: none has
	problem error     // why not all entries are in the set; nil: they are
}

// sourcePrefix tells sources from TokenRevocations, whose names cannot have it.
const sourcePrefix = "source/"

var chunkSeed = maphash.MakeSeed()

// gatherSources sums up the chunks of each source. Outcomes are what has become of chunks, and before is what it returned the last time.
func gatherSources(chunks []revstore.Object, outcomes []compile.RevocationOutcome, before map[string]*sourceEntries) map[string]*sourceEntries {
	problems := map[string]error{}
	for _, o := range outcomes {
		if o.Problem != nil && strings.HasPrefix(o.Ref.Name, chunkPrefix) {
			problems[o.Ref.UID] = o.Problem
		}
	}
	out := map[string]*sourceEntries{}
	for i := range chunks {
		o := &chunks[i]
		uid := o.Owner()
		s := out[uid]
		if s == nil {
			s = &sourceEntries{ref: compile.RevocationRef{Name: sourcePrefix + o.Spec.Source, UID: uid}}
			out[uid] = s
		}
		s.entries += len(o.Spec.Entries)
		s.print += maphash.Comparable(chunkSeed, compile.RevocationRef{UID: string(o.UID), Generation: o.Generation})
		if o.Spec.LastEvent.After(s.last) {
			s.last = o.Spec.LastEvent
		}
		if p := problems[string(o.UID)]; p != nil {
			s.problem = p
		}
	}
	for uid, s := range out {
		s.ref.Generation = 1
		if was := before[uid]; was != nil {
			if s.ref.Generation = was.ref.Generation; was.print != s.print {
				s.ref.Generation++
			}
		}
	}
	return out
}

// withSources adds sources to the revocations of a history.
func withSources(outcomes []compile.RevocationOutcome, sources map[string]*sourceEntries) []compile.RevocationOutcome {
	out := make([]compile.RevocationOutcome, 0, len(outcomes)+len(sources))
	out = append(out, outcomes...)
	for _, s := range sources {
		out = append(out, compile.RevocationOutcome{Ref: s.ref})
	}
	return out
}

// Reached tells how far the entries of RevocationSources have got. The zero value is what Options take; it knows nothing before Setup, and
// nothing on a replica that does not lead.
type Reached struct {
	mu     sync.Mutex
	writer *writer // guarded by mu
}

func (r *Reached) use(w *writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writer = w
}

// Of returns how far what has been told to the sources of a namespace has got, by their UIDs; one that is not there has no entries. It is nil
// if that is not known yet.
func (r *Reached) Of(ctx context.Context, namespace string) func(uid string) status.Reached {
	r.mu.Lock()
	w := r.writer
	r.mu.Unlock()
	if w == nil || w.elected().IsZero() {
		return nil
	}
	known := w.compiler.known(namespace)
	if known == nil || known.load() == nil {
		return nil
	}
	s := w.scene(ctx, namespace, known)
	sources := s.revoked.bySource() // first: what sidecars say may be newer
	pods := carriersOf(s)
	return func(uid string) status.Reached {
		x := sources[uid]
		if x == nil {
			return status.Reached{Pods: pods.at(0)}
		}
		out := status.Reached{Entries: x.entries, LastEvent: x.last, Problem: x.problem}
		if step, ok := s.revoked.history.came(x.ref); ok {
			out.Pods = pods.at(step)
		} else { // it has changed since: nobody is known to have what it has now
			out.Pods = pods.at(s.revoked.history.next())
		}
		return out
	}
}

func (s *revokedSpace) bySource() map[string]*sourceEntries {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources
}
