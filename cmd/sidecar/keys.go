package main

import (
	"net/http"

	keyfetch "github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// shownKeys is an issuer's keys, and how their fetches go if this sidecar fetches them itself.
type shownKeys struct {
	gate.IssuerKeys
	Fetch *keyfetch.Report `json:"fetch,omitempty"`
}

// debugKeys shows the keys in force by kid and thumbprint, and nothing that is secret of them.
func (s *sidecar) debugKeys(w http.ResponseWriter, _ *http.Request) {
	if !s.explaining.Allow() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many questions just now", http.StatusTooManyRequests)
		return
	}
	snapshot := s.gate.Snapshot()
	if snapshot == nil {
		http.Error(w, "no rules have been loaded yet", http.StatusServiceUnavailable)
		return
	}
	var fetches map[string]keyfetch.Report
	if d, ok := s.rules.(interface {
		Fetches() map[string]keyfetch.Report
	}); ok {
		fetches = d.Fetches()
	}
	out := []shownKeys{}
	for _, k := range snapshot.Keys() {
		shown := shownKeys{IssuerKeys: k}
		if r, ok := fetches[k.Source]; ok {
			shown.Fetch = &r
		}
		out = append(out, shown)
	}
	writeJSON(w, map[string]any{"snapshot": snapshot.Version(), "issuers": out})
}
