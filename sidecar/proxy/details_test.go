package proxy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// Whoever looks up the id that a client was told finds the policy, the issuer and the audiences that a token was held against, and
// the rule that came nearest with what it failed for, in whatever way the client speaks.
func TestTheLogTellsWhatToChange(t *testing.T) {
	t.Parallel()
	spec := orders()
	spec.Rules = append(spec.Rules, policy.Rule{
		Name: "pay", Match: []policy.Match{{Paths: []string{"/pay/{id}"}, Methods: []string{"POST"}}},
		Allow: &policy.Allow{Conditions: policy.Conditions{Subjects: []string{"alice"}, Claims: []policy.ClaimCondition{{Claim: "team", AnyOf: []string{"till"}}}}},
	}, policy.Rule{
		Name: "bills", Match: []policy.Match{{Paths: []string{"/bills"}}}, Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"bills"}}},
	})
	g := logDecisions(t, "http://127.0.0.1:1", nil, gatetest.Policy("orders", spec))
	now := time.Now()
	tests := map[string]struct {
		path, token string
		want        map[string]any
	}{
		"another audience": {"/orders/1", corp.Token(now, map[string]any{"aud": "mine"}), map[string]any{
			"reason": "WrongAudience", "policy": "shop/orders", "issuerEntry": "corp", "audiences": []any{"orders"}}},
		"expired": {"/orders/1", corp.Token(now.Add(-3*time.Hour), nil), map[string]any{
			"reason": "Expired", "policy": "shop/orders", "issuerEntry": "corp", "audiences": []any{"orders"}}},
		"no token": {"/orders/1", "", map[string]any{
			"reason": "NoToken", "policy": "shop/orders", "issuerEntry": "corp", "audiences": []any{"orders"},
			"nearestPolicy": "shop/orders", "nearestRule": "orders", "failed": "spec.rules[1].allow.issuers: no token that the rule may look at"}},
		"a claim": {"/pay/1", corp.Token(now, map[string]any{"team": "sales"}), map[string]any{
			"reason": "NoRule", "nearestPolicy": "shop/orders", "nearestRule": "pay", "failed": "spec.rules[3].allow.claims[0]: the claim team does not satisfy anyOf"}},
		"a path": {"/pay/1/2", corp.Token(now, nil), map[string]any{
			"reason": "NoRule", "nearestPolicy": "shop/orders", "nearestRule": "pay", "failed": "spec.rules[3].match[0].paths: the match does not fit the request"}},
		"a scope": {"/bills", corp.Token(now, nil), map[string]any{
			"reason": "InsufficientScope", "policy": "shop/orders", "rule": "bills", "failed": "spec.rules[4].allow.scopes: the token lacks scopes"}},
		"a rule that denies": {"/orders/admin/1", corp.Token(now, nil), map[string]any{
			"reason": "DeniedByRule", "policy": "shop/orders", "rule": "no-admin"}},
	}
	for _, way := range []string{"text/plain", "application/json", "application/grpc"} {
		for name, tt := range tests {
			r := request(t, "POST", "http://"+g.addr+tt.path, nil, "Content-Type", way)
			if tt.token != "" {
				r.Header.Set("Authorization", "Bearer "+tt.token)
			}
			res, body := ask(t, client(t, way != "text/plain"), r)
			lines := g.lines(t, told(t, res, body))
			if len(lines) != 1 {
				t.Fatalf("%s, %s: %v", way, name, lines)
			}
			got := map[string]any{}
			for _, key := range []string{"reason", "policy", "rule", "issuerEntry", "audiences", "nearestPolicy", "nearestRule", "failed"} {
				if v, ok := lines[0][key]; ok {
					got[key] = v
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s, %s: %s", way, name, diff)
			}
		}
	}
}
