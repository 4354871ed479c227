//go:build !race

package gate_test

import (
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// TestCachedJudgementsDoNotAllocate is what every request pays. It is not parallel, since it counts allocations; the
// race detector makes sync.Pool forget, so it does not run there.
func TestCachedJudgementsDoNotAllocate(t *testing.T) {
	reader := corp.Token(start, map[string]any{"scope": "orders.read", "jti": "1", "sid": "2"})
	revocation := policy.Revocation{Issuer: corp.URL, Entries: []policy.RevocationEntry{{JTI: "another"}}}
	g := gate.New(gate.Options{Now: clock})
	g.Revoke(revoked.SetOf(revocation))
	g.Swap(gatetest.Snapshot(t, clock, append(manyRules(1000), gatetest.Policy("orders", orders()))...))
	tests := map[string]struct {
		give *gate.Request
		want decision.Reason
	}{
		"a token that may":                  {get("/orders/1", bearer(reader)...), decision.Allowed},
		"a query beside it":                 {get("/orders/1?a=b&c", bearer(reader)...), decision.Allowed},
		"an absolute target":                {get("http://orders.shop:8080/orders/1?a", bearer(reader)...), decision.Allowed},
		"a public place":                    {get("/docs/a"), decision.Allowed},
		"a token that nobody looks at":      {get("/metrics", bearer("opaque")...), decision.Allowed},
		"a public place with a token":       {get("/docs/a", bearer(reader)...), decision.Allowed},
		"a token for an unmatched place":    {get("/none", bearer(reader)...), decision.NoRule},
		"a token that a rule is against":    {get("/orders/admin", bearer(reader)...), decision.DeniedByRule},
		"no token where one is needed":      {get("/orders/1"), decision.NoToken},
		"one policy's token among a dozen":  {cachedRequest(1000, reader), decision.Allowed},
		"a target with a dot segment":       {get("/orders/../../x"), decision.BadPath},
		"a method that is a tunnel":         {&gate.Request{Method: "CONNECT"}, decision.BadMethod},
		"two Authorization fields":          {get("/orders/1", append(bearer(reader), bearer(reader)...)...), decision.DuplicateAuthorization},
		"a scheme in another case":          {get("/orders/1", "Authorization", "bearer  "+reader), decision.Allowed},
		"a head that a relay parsed itself": {get("/orders/1", bearer(reader)...), decision.Allowed},
	}
	relayed := tests["a head that a relay parsed itself"].give
	relayed.Header = asParsed(relayed.Header.(http.Header))
	for name, tt := range tests {
		for range 2 { // the first may verify
			if v := g.Judge(tt.give); v.Reason != tt.want {
				t.Fatalf("%s: got %s, want %s", name, v.Reason, tt.want)
			}
		}
		if n := testing.AllocsPerRun(100, func() { g.Judge(tt.give) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { g.JudgeWaiting(t.Context(), tt.give) }); n != 0 {
			t.Errorf("%s: %v allocations where it could wait", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { g.JudgeNow(tt.give) }); n != 0 {
			t.Errorf("%s: %v allocations where it must not wait", name, n)
		}
	}
}

func TestAuditPoliciesCostFewAllocations(t *testing.T) {
	audit := orders()
	audit.Mode = policy.Audit
	g := newGate(t, gatetest.Policy("orders", orders()), gatetest.Policy("trial", audit))
	r := get("/orders/1", bearer(corp.Token(start, map[string]any{"scope": "orders.read"}))...)
	if n := testing.AllocsPerRun(100, func() { g.Judge(r) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
