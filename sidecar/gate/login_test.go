package gate_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

// A token that is cached is taken until the user's log-in is too long ago, and not one request longer; the client is told what
// log-in its request needs.
func TestACachedTokenIsAskedForANewLogIn(t *testing.T) {
	t.Parallel()
	issuer := gatetest.NewIssuer("https://corp.example", "a")
	start := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	now := start
	clock := func() time.Time { return now }
	g := gate.New(gate.Options{Now: clock})
	spec := func(mode policy.Mode) policy.Spec {
		return policy.Spec{Mode: mode, Issuers: []policy.Issuer{issuer.Policy("corp")}, Rules: []policy.Rule{{Name: "pay", Allow: &policy.Allow{
			Conditions:     policy.Conditions{Scopes: []string{"pay"}},
			Authentication: &policy.Authentication{ACR: []string{"phr", "mfa"}, MaxAge: &policy.Duration{Duration: 5 * time.Minute}},
		}}}}
	}
	g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("enforced", spec(policy.Enforce)), gatetest.Policy("tried", spec(policy.Audit))))
	token := issuer.Token(start, map[string]any{"scope": "pay", "acr": "mfa", "auth_time": start.Unix()})
	judge := func(token string) gate.Verdict {
		r := gate.Request{Method: "GET", Target: "/pay", Host: "orders.example", Header: http.Header{"Authorization": {"Bearer " + token}}}
		v := g.Judge(&r)
		if why := v.Why(&r); v.Reason == decision.InsufficientAuthentication {
			if got, want := why.Details().Failed, "spec.rules[0].allow.authentication."; len(got) < len(want) || got[:len(want)] != want {
				t.Errorf("failed: %s", got)
			}
		}
		return v
	}
	wanted := &refuse.Challenge{Scopes: []string{"pay"}, ACR: []string{"phr", "mfa"}, MaxAge: 5 * time.Minute}
	for after, want := range map[time.Duration]decision.Reason{
		0: decision.Allowed, 5*time.Minute + 30*time.Second: decision.Allowed, 5*time.Minute + 31*time.Second: decision.InsufficientAuthentication,
	} {
		now = start.Add(after)
		v := judge(token)
		if v.Reason != want || v.Forward != (want == decision.Allowed) || len(v.Audit) != 1 || v.Audit[0].Reason != want {
			t.Errorf("after %s: %s, %+v; want %s", after, v.Reason, v.Audit, want)
		}
		if diff := cmp.Diff(wanted, v.Challenge); !v.Forward && diff != "" {
			t.Errorf("after %s: %s", after, diff)
		}
	}
	if v := judge(issuer.Token(now, map[string]any{"acr": "pwd", "auth_time": now.Unix()})); v.Reason != decision.InsufficientAuthentication {
		t.Errorf("another class: %s", v.Reason)
	}
	if v := judge(issuer.Token(now, map[string]any{"acr": "phr", "auth_time": now.Unix()})); v.Reason != decision.InsufficientScope || v.Challenge.ACR != nil {
		t.Errorf("scopes alone: %s, %+v", v.Reason, v.Challenge)
	}
}
