package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/source"
)

// crew is what the process of the sidecars is told at its start.
type crew struct {
	Address, CAFile string
	Members         []member
}

// member is one sidecar.
type member struct{ Namespace, TokenFile string }

// question asks the process of the sidecars to wait until every sidecar of a namespace, or of all, has something: the value
// of What is at least Least.
type question struct {
	Namespace, What string
	Least           int64
	Timeout         time.Duration
}

// answer says when the sidecars got it.
type answer struct {
	Asked, Have       int // sidecars
	Median, P99, Last time.Time
	Ended             int64 // streams that ended or were not made, since the start
}

// What a sidecar is asked for, beside the generation of a policy by its name.
const (
	whatKeys        = "#keys"
	whatRevocations = "#revocations"
)

// startsEach is how many sidecars start a second at most.
const startsEach = 2000

// simulated is a sidecar: its push client, and when it got what it has.
type simulated struct {
	namespace string

	mu   sync.Mutex
	have map[string]int64     // guarded by mu
	when map[string]time.Time // guarded by mu
}

// apply takes a bundle in.
func (s *simulated) apply(b *bundle.Bundle, _ string) error {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	note := func(what string, value int64) { s.note(now, what, value) }
	for _, p := range b.Policies {
		note(p.Name, p.Generation)
	}
	var keys int
	for _, k := range b.KeySets {
		keys += strings.Count(string(k.JWKS), `"kid"`)
	}
	note(whatKeys, int64(keys))
	return nil
}

// note is called with mu held.
func (s *simulated) note(now time.Time, what string, value int64) {
	if s.have[what] != value {
		s.have[what], s.when[what] = value, now
	}
}

// revoke takes revocations in.
func (s *simulated) revoke(set *revoked.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(time.Now(), whatRevocations, int64(set.Len()))
}

func (s *simulated) since(what string, least int64) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.when[what], s.have[what] >= least
}

// runSidecars runs all of them until standard input ends. Each line there is a question, and each line of standard output
// the answer to it.
func runSidecars(file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // written by the parent
	if err != nil {
		return err
	}
	var c crew
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var ended atomic.Int64
	log := funcr.New(func(_, args string) {
		if strings.Contains(args, "push stream ended") {
			ended.Add(1)
		}
	}, funcr.Options{})
	all := make([]*simulated, len(c.Members))
	for i, m := range c.Members {
		all[i] = &simulated{namespace: m.Namespace, have: map[string]int64{}, when: map[string]time.Time{}}
	}
	// All of them at the same instant would be one process that does not answer for as long as it takes to begin.
	go func() {
		for i, m := range c.Members {
			go all[i].run(ctx, c, m, log)
			<-time.After(time.Second / startsEach)
		}
	}()
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			return err
		}
		a := wait(all, q)
		a.Ended = ended.Load()
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return in.Err()
}

func (s *simulated) run(ctx context.Context, c crew, m member, log logr.Logger) {
	_, port, _ := net.SplitHostPort(c.Address)
	p := source.NewPush(source.PushConfig{
		Address: "127.0.0.1:" + port, ServerName: "localhost", CAFile: c.CAFile, TokenFile: m.TokenFile, Release: "bench",
		Apply: s.apply, Revoke: s.revoke, Log: log,
	})
	_ = p.Run(ctx) // ends with ctx only
}

// wait waits until all have what the question is about, or until time is up.
func wait(all []*simulated, q question) answer {
	var asked []*simulated
	for _, s := range all {
		if q.Namespace == "" || s.namespace == q.Namespace {
			asked = append(asked, s)
		}
	}
	a := answer{Asked: len(asked)}
	var times []time.Time
	for end := time.Now().Add(q.Timeout); ; <-time.After(10 * time.Millisecond) {
		times = times[:0]
		for _, s := range asked {
			if t, ok := s.since(q.What, q.Least); ok {
				times = append(times, t)
			}
		}
		if len(times) == len(asked) || time.Now().After(end) {
			break
		}
	}
	a.Have = len(times)
	if len(times) > 0 {
		slices.SortFunc(times, time.Time.Compare)
		a.Median, a.P99, a.Last = times[len(times)/2], times[(len(times)-1)*99/100], times[len(times)-1]
	}
	return a
}

// all reports an error unless every sidecar has it.
func (a answer) all() error {
	if a.Have < a.Asked {
		return fmt.Errorf("%d of %d sidecars do not have it", a.Asked-a.Have, a.Asked)
	}
	return nil
}
