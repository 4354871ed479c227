package gate_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

func TestATokenThatOnlyAnAuditPolicyTrustsIsNeverLetIn(t *testing.T) {
	t.Parallel()
	audit := policy.Spec{
		Mode:    policy.Audit,
		Issuers: []policy.Issuer{partner.Policy("partner"), corp.Policy("corp")},
		Rules:   []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}},
	}
	g := newGate(t, gatetest.Policy("orders", orders()), gatetest.Policy("trial", audit))
	stranger, own := bearer(partner.Token(start, nil)), bearer(corp.Token(start, map[string]any{"scope": "orders.read"}))
	for i := range 3 { // what one mode has cached must not answer for the other
		if v := g.Judge(get("/docs/a", stranger...)); v.Forward || v.Reason != decision.UnknownIssuer {
			t.Errorf("request %d: forwarded %v for %s; want UnknownIssuer", i, v.Forward, v.Reason)
		}
		v := g.Judge(get("/orders/1", own...))
		if !v.Forward || len(v.Audit) != 1 || !v.Audit[0].Allowed {
			t.Errorf("request %d: forwarded %v for %s, audit %v; want both to allow it", i, v.Forward, v.Reason, v.Audit)
		}
	}
}

func TestAMethodInLowerCaseIsNoWayAroundADenyRule(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Rules = append(spec.Rules, policy.Rule{
		Name: "no-delete", Match: []policy.Match{{Methods: []string{"DELETE"}}}, Deny: &policy.Conditions{},
	})
	g := newGate(t, gatetest.Policy("orders", spec))
	for method, want := range map[string]decision.Reason{
		"DELETE": decision.DeniedByRule, "delete": decision.BadMethod, "Delete": decision.BadMethod,
	} {
		r := get("/docs/a")
		r.Method = method
		if v := g.Judge(r); v.Forward || v.Reason != want {
			t.Errorf("%s: forwarded %v for %s; want %s", method, v.Forward, v.Reason, want)
		}
	}
}
