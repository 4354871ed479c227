package main

import (
	"net/http"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/aside"
)

// settle has the proxy leave as long as the pod is about to stop, or the sidecar has stepped aside to be replaced. It never takes
// back that the pod stops.
func (s *sidecar) settle() {
	s.settling.Lock() // or of two that settle at once, the one that saw less may come last
	defer s.settling.Unlock()
	switch {
	case s.leaving.heard():
		if s.conf.Limits.Linger > 0 {
			s.proxy.Leave()
		}
	case !s.aside.Until().IsZero():
		s.proxy.Leave()
	default:
		s.proxy.Stay()
	}
}

// stepAside answers whoever is about to replace this sidecar in its pod: see package aside.
func (s *sidecar) stepAside(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(aside.Header) == "" {
		http.Error(w, "the header "+aside.Header+" is missing", http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodPost:
		d, err := time.ParseDuration(r.URL.Query().Get("for"))
		if err != nil || d <= 0 {
			http.Error(w, "for: want a time such as 60s", http.StatusBadRequest)
			return
		}
		s.aside.Step(d)
		s.log.Info("steps aside to be replaced; not ready meanwhile", "for", min(d, aside.Most).String())
	case http.MethodDelete:
		s.aside.Back()
	}
	report := aside.Report{Release: version, Ready: s.unwilling() == "", Until: s.aside.Until()}
	if snapshot := s.gate.Snapshot(); snapshot != nil {
		report.Snapshot = snapshot.Summary().Version
	}
	connected, age, known := s.freshness()
	report.Current = connected && known && age == 0
	writeJSON(w, report)
}
