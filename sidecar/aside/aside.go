// Package aside has a sidecar step aside for a while: it says that it is not ready, so that its pod gets no new clients, and asks
// those that it has to go elsewhere, while it serves all that comes. That is how it can be replaced in place, without its pod.
package aside

import (
	"sync"
	"time"
)

// Path is what the admin port is asked by GET for a Report, by POST with "for=DURATION" to step aside, by DELETE to come back; each
// answers with a Report. Header has to be there, with any value, as for explanations.
const (
	Path   = "/debug/aside"
	Header = "X-Bearerguard-Aside"
	// Most is how long a sidecar steps aside at most: whoever asked may be gone by then.
	Most = 5 * time.Minute
)

// Report is what a sidecar says of itself.
type Report struct {
	// Release is the sidecar's own.
	Release string `json:"release"`
	// Snapshot is the version of the rules in force; empty without any.
	Snapshot string `json:"snapshot,omitempty"`
	// Current says that the controller is connected, and has the sidecar's word that it uses the newest rules.
	Current bool `json:"current"`
	// Ready says that requests may come.
	Ready bool `json:"ready"`
	// Until is when a sidecar that has stepped aside comes back by itself; zero: it has not.
	Until time.Time `json:"until,omitzero"`
}

// State is whether a sidecar has stepped aside. Make it with New. It is safe for concurrent use.
type State struct {
	changed func() // is called without mu

	mu    sync.Mutex
	until time.Time   // guarded by mu; zero: it has not
	back  *time.Timer // guarded by mu
}

// New returns a state of a sidecar that has not stepped aside. changed is called when it has, and when it is back.
func New(changed func()) *State { return &State{changed: changed} }

// Step steps aside, for so long from now on but at most Most.
func (s *State) Step(d time.Duration) {
	d = min(d, Most)
	s.mu.Lock()
	before := s.until
	s.until = now().Add(d)
	if s.back != nil {
		s.back.Stop()
	}
	s.back = time.AfterFunc(d, s.over)
	s.mu.Unlock()
	if before.IsZero() {
		s.changed()
	}
}

// now is the clock that timers go by.
func now() time.Time { return time.Now() } //nolint:forbidigo // a timer of the same clock is set with it

// Back comes back.
func (s *State) Back() { s.end(func() bool { return true }) }

// over comes back once the time is over. A timer that fires while Step sets another one is none of its business.
func (s *State) over() { s.end(func() bool { return !now().Before(s.until) }) }

// end comes back if due, which is called with mu held, says so.
func (s *State) end(due func() bool) {
	s.mu.Lock()
	if s.until.IsZero() || !due() {
		s.mu.Unlock()
		return
	}
	s.until = time.Time{}
	s.back.Stop()
	s.mu.Unlock()
	s.changed()
}

// Until is when the sidecar comes back by itself; zero: it has not stepped aside.
func (s *State) Until() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until
}
