package main

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/aside"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// askAside asks the admin port to step aside, to come back, or how it is.
func (p *process) askAside(t *testing.T, method, query string, header bool) (int, aside.Report) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.admin+aside.Path+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if header {
		r.Header.Set(aside.Header, "1")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var report aside.Report
	_ = json.NewDecoder(response.Body).Decode(&report)
	return response.StatusCode, report
}

// closes reports whether the sidecar asks clients to leave.
func (p *process) closes(t *testing.T) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/public", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("it answers %d, though it is to serve all that comes", response.StatusCode)
	}
	return response.Close
}

// A sidecar that is to be replaced in its pod is not ready, sends clients away and serves them; the containers of the app are not
// taken to be about to stop. That the pod stops is never taken back.
func TestStepAside(t *testing.T) {
	t.Parallel()
	dir, state := t.TempDir(), t.TempDir()
	write(t, dir, "orders.yaml", policyFor(gatetest.NewIssuer("https://corp.example", "one"), "clerk"))
	p := start(t, newApp(t), "--policies", dir, "--state-dir", state, "--drain-wait", "1s")
	for name, ask := range map[string]struct {
		method, query string
		header        bool
		want          int
	}{
		"without the header":     {http.MethodPost, "?for=60s", false, http.StatusForbidden},
		"without a time":         {http.MethodPost, "", true, http.StatusBadRequest},
		"for a time in the past": {http.MethodPost, "?for=-1s", true, http.StatusBadRequest},
		"by another method":      {http.MethodPut, "?for=60s", true, http.StatusMethodNotAllowed},
	} {
		if got, _ := p.askAside(t, ask.method, ask.query, ask.header); got != ask.want {
			t.Errorf("%s: %d, want %d", name, got, ask.want)
		}
	}
	if _, report := p.askAside(t, http.MethodGet, "", true); !report.Ready || !report.Until.IsZero() || report.Release == "" || report.Snapshot == "" {
		t.Errorf("before: %+v", report)
	}
	if p.closes(t) {
		t.Error("it asks clients to leave, though nobody told it to")
	}
	if got, report := p.askAside(t, http.MethodPost, "?for=60s", true); got != http.StatusOK || report.Ready || time.Until(report.Until) > time.Minute {
		t.Errorf("it steps aside: %d, %+v", got, report)
	}
	if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusServiceUnavailable {
		t.Errorf("readyz = %d, want 503", got)
	}
	p.eventually(t, "clients are asked to leave", func() bool { return p.closes(t) })
	if status, err := askToEnd(t, p, time.Minute); err != nil || status != http.StatusOK {
		t.Errorf("a container whose liveness probe failed is not let go: %d, %v", status, err)
	}
	if _, report := p.askAside(t, http.MethodDelete, "", true); !report.Ready {
		t.Errorf("it comes back: %+v", report)
	}
	p.eventually(t, "clients may stay again", func() bool { return !p.closes(t) })
	p.askAside(t, http.MethodPost, "?for=100ms", true)
	p.eventually(t, "it comes back by itself", func() bool { return p.get(t, p.admin+"/readyz", "") == http.StatusOK })

	p.askAside(t, http.MethodPost, "?for=60s", true)
	if out, err := exec.Command(program, "leave", "--state-dir", state).CombinedOutput(); err != nil {
		t.Fatalf("leave: %v: %s", err, out)
	}
	p.askAside(t, http.MethodDelete, "", true)
	p.eventually(t, "a pod that stops sends clients away, whatever was said", func() bool { return p.closes(t) })
	if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusOK {
		t.Errorf("readyz of a pod that stops = %d, want 200: it serves still", got)
	}
}
