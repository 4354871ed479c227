package gate_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// inCluster trusts corp as the cluster's own issuer.
func inCluster(t *testing.T, allowUnbound bool) *gate.Snapshot {
	t.Helper()
	is := corp.Policy("cluster")
	set, err := keyset.Parse([]byte(is.Keys.JWKS), keyset.Public)
	if err != nil {
		t.Fatal(err)
	}
	is.Keys = policy.KeySource{Kubernetes: &policy.KubernetesKeys{AllowUnbound: allowUnbound}}
	o := gatetest.Policy("orders", policy.Spec{Issuers: []policy.Issuer{is}, Rules: []policy.Rule{
		{Name: "cart", Match: []policy.Match{{Paths: []string{"/cart"}}}, Allow: &policy.Allow{Conditions: policy.Conditions{ServiceAccounts: []string{"shop/cart"}}}},
		{Name: "all", Match: []policy.Match{{Paths: []string{"/any"}}}, Allow: &policy.Allow{Authenticated: true}},
	}})
	b := bundle.Assemble([]bundle.Object{o}, map[string]bundle.KeySet{bundle.SourceID("shop", is): {JWKS: set.Canonical()}})
	s, err := gate.NewSnapshot(b, "v", gate.SnapshotOptions{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func account(pod, uid string) []string {
	return bearer(corp.Token(start, map[string]any{"sub": "system:serviceaccount:shop:cart", "kubernetes.io": map[string]any{
		"pod": map[string]any{"uid": pod}, "serviceaccount": map[string]any{"uid": uid},
	}}))
}

func TestTokensOfDeletedPodsAreRevoked(t *testing.T) {
	t.Parallel()
	g := gate.New(gate.Options{Now: clock})
	g.Swap(inCluster(t, false))
	want := func(who string, headers []string, want decision.Reason) {
		t.Helper()
		if v := g.Judge(get("/cart", headers...)); v.Reason != want {
			t.Errorf("%s: %s, want %s", who, v.Reason, want)
		}
	}
	want("a pod", account("pod-1", "sa-1"), decision.Allowed)
	want("another pod of the account", account("pod-2", "sa-1"), decision.Allowed)
	g.Gone([]departed.Entry{departed.NewEntry("shop", "pod-1", start)})
	want("a deleted pod, whose token is known", account("pod-1", "sa-1"), decision.Revoked)
	want("another pod of the account", account("pod-2", "sa-1"), decision.Allowed)
	if c := g.CacheStats(); c.Misses != 2 || c.Hits != 2 {
		t.Errorf("the cache was cleared: %+v", c)
	}
	g.Swap(inCluster(t, false))
	want("a deleted pod, under new rules", account("pod-1", "sa-1"), decision.Revoked)
	g.Gone([]departed.Entry{departed.NewEntry("shop", "sa-1", start)})
	want("a pod of a deleted account", account("pod-2", "sa-1"), decision.Revoked)
	want("a pod of an account that was made again", account("pod-3", "sa-2"), decision.Allowed)
	want("a token of no pod", bearer(corp.Token(start, map[string]any{"sub": "system:serviceaccount:shop:cart"})), decision.Unbound)
	g.Swap(inCluster(t, true))
	want("a token of no pod, where that is allowed", bearer(corp.Token(start, map[string]any{"sub": "system:serviceaccount:shop:cart"})), decision.Allowed)
}
