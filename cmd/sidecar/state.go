package main

import (
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// state is what a sidecar tells of itself, for an overview of many.
type state struct {
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	// Snapshot is the version of the rules in force, Built when they were loaded, Policies whose they are; empty without rules.
	Snapshot string    `json:"snapshot,omitempty"`
	Built    time.Time `json:"built,omitzero"`
	Policies []string  `json:"policies,omitempty"`
	// Unready says why requests may not come; empty if they may.
	Unready string `json:"unready,omitempty"`
	// OpenPorts is how many ports of the app can be reached past the sidecar.
	OpenPorts int `json:"openPorts,omitempty"`
	// Refusals are those since the time that was asked for, as far as they are remembered; Whole is false if some may have been
	// forgotten.
	Refusals []telemetry.Refusals `json:"refusals,omitempty"`
	Whole    bool                 `json:"whole"`
}

// usualSince is how far back refusals are counted if nobody says.
const usualSince = 10 * time.Minute

// debugState tells how the sidecar is: ?since=10m.
func (s *sidecar) debugState(w http.ResponseWriter, r *http.Request) {
	if !s.explaining.Allow() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many questions just now", http.StatusTooManyRequests)
		return
	}
	since := usualSince
	if text := r.URL.Query().Get("since"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			http.Error(w, "since: want a duration such as 10m", http.StatusBadRequest)
			return
		}
		since = d
	}
	now := time.Now()
	out := state{Version: version, Time: now.UTC(), Unready: s.unready()}
	if snapshot := s.gate.Snapshot(); snapshot != nil {
		out.Snapshot, out.Policies, out.Built = snapshot.Version(), snapshot.Policies(), snapshot.Summary().Built.UTC()
	}
	if s.ports != nil {
		out.OpenPorts = s.ports.Bypassable()
	}
	out.Refusals, out.Whole = s.decided.Summary(now.Add(-since))
	writeJSON(w, out)
}
