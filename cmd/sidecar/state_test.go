package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// TestASidecarTellsHowItIs asks for the overview of a sidecar that has refused something.
func TestASidecarTellsHowItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	write(t, dir, "orders.yaml", policyFor(issuer, "clerk"))
	p := start(t, newApp(t), "--policies", dir)
	for range 2 {
		p.get(t, p.url+"/orders/7", "")
	}
	p.get(t, p.url+"/orders/7", issuer.Token(time.Now(), map[string]any{"role": "cook"}))
	status, text := fetch(t, p.admin+"/debug/state?since=5m", "")
	var got state
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != http.StatusOK {
		t.Fatalf("%d %v\n%s", status, err, text)
	}
	if got.Version == "" || time.Since(got.Time) > time.Minute || got.Snapshot == "" || len(got.Policies) != 1 || got.Unready != "" || !got.Whole {
		t.Errorf("it tells %s", text)
	}
	if len(got.Refusals) != 2 || got.Refusals[0].Reason != "NoToken" || got.Refusals[0].Count != 2 || got.Refusals[1].Count != 1 ||
		got.Refusals[0].Policy != "default/orders" || got.Refusals[1].NearestPolicy != "default/orders" || got.Refusals[1].NearestRule != "role" {
		t.Errorf("refusals are %+v", got.Refusals)
	}
	if status, _ := fetch(t, p.admin+"/debug/state?since=soon", ""); status != http.StatusBadRequest {
		t.Errorf("a time that is none: %d", status)
	}
	p.stop(t)
}
