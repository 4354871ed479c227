package push

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// After a rollout the replica that was ready first has most of the sidecars, and the one that was ready last has none. The replica with
// most is the one that leads as a rule, since it has been there for longest, and it knows by their reports how many the others have. So the
// one that leads ends streams, few at a time, until it has about its share; what is ended comes to any replica. Any other imbalance ends
// with the age of the streams.
const (
	spreadEvery = time.Second
	// settledAge is how long a stream has to stand, and a replica to report, before that is relied upon.
	settledAge = time.Minute
	// spreadPart is the part of the streams that is ended each time at most.
	spreadPart = 200
	// spreadSlack is how many sidecars more than its share, and than a fifth above it, a replica may have.
	spreadSlack = 10
)

// spread ends streams that other replicas have room for, until ctx is done.
func (s *Server) spread(ctx context.Context) {
	tick := time.NewTicker(spreadEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, c := range s.surplus(now) {
				c.endFor(0, status.Error(codes.Unavailable, "other replicas of the controller have fewer sidecars; connect again"))
			}
		case <-ctx.Done():
			return
		}
	}
}

// surplus returns the streams to end now, any of those that have nothing unsettled.
func (s *Server) surplus(now time.Time) (out []*stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	others, ok := s.elsewhere(now)
	if !ok {
		return nil
	}
	own := 0
	for _, pods := range s.namespaces {
		for _, p := range pods {
			if p.stream != nil {
				own++
			}
		}
	}
	n := toEnd(own, others)
	if n == 0 {
		return nil
	}
	for _, pods := range s.namespaces { // in any order
		for _, p := range pods {
			if p.stream.settled(now) {
				out = append(out, p.stream)
			}
			if len(out) == n {
				return out
			}
		}
	}
	return out
}

// elsewhere returns how many sidecars each other replica has. false: there is none, or one has come or gone just now. It is called with
// mu held.
func (s *Server) elsewhere(now time.Time) (others []int, ok bool) {
	for _, r := range s.replicas {
		if r.over != nil || now.Sub(r.since) < settledAge {
			return nil, false
		}
		n := 0
		for _, sidecars := range r.sidecars {
			n += len(sidecars)
		}
		others = append(others, n)
	}
	return others, len(others) > 0
}

// toEnd returns how many of its own streams a replica ends now, by how many the others have.
func toEnd(own int, others []int) int {
	all := own
	for _, n := range others {
		all += n
	}
	share := all / (len(others) + 1)
	return min(max(0, own-share-share/5-spreadSlack), own/spreadPart+1)
}

// settled reports whether the stream stands for a while and nothing is on its way on it. It is called with mu held.
func (c *stream) settled(now time.Time) bool {
	return c != nil && now.Sub(c.opened) >= settledAge && c.acked != nil && !c.sending && len(c.unsettled) == 0 &&
		len(c.asked) == 0 && len(c.answers) == 0 && c.revocations.Acked == c.has
}
