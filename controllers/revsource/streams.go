package revsource

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/policy"
)

const (
	// verifyEvery is how often a stream is verified, unless its transmitter wants it less often.
	verifyEvery = 5 * time.Minute
	// configuredFor is how long the configuration of a stream is good.
	configuredFor = time.Hour
	// firstWait and longestWait bound the wait after a failure.
	firstWait, longestWait = time.Second, time.Minute
	// streamsEvery is how often it is looked which streams there are.
	streamsEvery = time.Second
)

// streams talk to transmitters: they fetch events and verify that those that are pushed come. They run on the leader.
type streams struct {
	receiver *Receiver
	fetch    fetch.Options
	now      func() time.Time

	mu    sync.Mutex
	state map[string]streamState // guarded by mu; by UID of the source
}

// streamState is how a stream stands.
type streamState struct {
	// err says why nothing can be had of the transmitter; nil: nothing speaks against it.
	err error
	// fetched is when events, or that there are none, were fetched last; zero: never.
	fetched time.Time
	// asked is when the transmitter was asked last to verify the stream; zero: never.
	asked time.Time
}

// of returns how the stream of a source stands.
func (s *streams) of(uid string) streamState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state[uid]
}

func (s *streams) note(uid string, change func(*streamState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		s.state = map[string]streamState{}
	}
	now := s.state[uid]
	change(&now)
	s.state[uid] = now
}

// Run talks until ctx is done.
func (s *streams) Run(ctx context.Context) error {
	running := map[string]context.CancelFunc{}
	var wait sync.WaitGroup
	defer wait.Wait()
	tick := time.NewTicker(streamsEvery)
	defer tick.Stop()
	for {
		named, uids := map[string]bool{}, map[string]bool{}
		all := s.receiver.sources.all()
		for _, x := range all {
			if x.problem != nil || x.spec.SharedSignals == nil || x.spec.SharedSignals.Transmitter == "" {
				continue
			}
			key := fmt.Sprintf("%s/%d", x.ref.UID, x.object.Generation)
			named[key], uids[x.ref.UID] = true, true
			if running[key] == nil {
				own, cancel := context.WithCancel(ctx)
				running[key] = cancel
				wait.Go(func() { s.follow(own, x) })
			}
		}
		for key, cancel := range running {
			if !named[key] {
				cancel()
				delete(running, key)
			}
		}
		s.retain(uids)
		select {
		case <-tick.C:
		case <-ctx.Done():
			for _, cancel := range running {
				cancel()
			}
			return nil
		}
	}
}

func (s *streams) retain(uids map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for uid := range s.state {
		if !uids[uid] {
			delete(s.state, uid)
		}
	}
}

// stream is what is remembered of one while it is followed.
type stream struct {
	source     *served
	config     *streamConfig // nil: to be read
	configured time.Time
	acks       []string
	errs       map[string]setError
}

// follow fetches and verifies one stream until ctx is done.
func (s *streams) follow(ctx context.Context, x *served) {
	st := &stream{source: x}
	failed := time.Duration(0)
	for ctx.Err() == nil {
		pause, err := s.turn(ctx, st)
		if ctx.Err() != nil {
			return
		}
		s.note(x.ref.UID, func(now *streamState) { now.err = err })
		if err != nil {
			st.config = nil
			failed = min(max(2*failed, firstWait), longestWait)
			pause = failed/2 + rand.N(failed/2+1) //nolint:gosec // spreads tries
		} else {
			failed = 0
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// turn does what is next for a stream, and says how long to wait after it.
func (s *streams) turn(ctx context.Context, st *stream) (time.Duration, error) {
	token, err := s.receiver.credentials.get(ctx, st.source, entryToken, credentialsAge)
	if err != nil {
		if st.source.spec.SharedSignals.Delivery == policy.Push && errors.Is(err, errCredentials) {
			return time.Minute, nil // it is not verified
		}
		return 0, err
	}
	if st.config == nil || s.now().Sub(st.configured) > configuredFor {
		if st.config, err = s.configure(ctx, st.source, token); err != nil {
			return 0, err
		}
		st.configured = s.now()
	}
	every := max(verifyEvery, st.config.verifyGap)
	if since := s.now().Sub(s.of(st.source.ref.UID).asked); st.config.verifyURL != "" && since >= every {
		if err := s.verify(ctx, st, token); err != nil {
			return 0, err
		}
		s.note(st.source.ref.UID, func(now *streamState) { now.asked = s.now() })
	}
	if st.source.spec.SharedSignals.Delivery == policy.Push {
		return every / 10, nil
	}
	return s.poll(ctx, st, token)
}
