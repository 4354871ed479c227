package token

import (
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestServiceAccountTokensAreBoundToAPod(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	bound := map[string]any{
		"namespace": "shop", "serviceaccount": map[string]any{"name": "cart", "uid": "8d1f"}, "pod": map[string]any{"name": "cart-0", "uid": "77aa"},
	}
	tests := map[string]struct {
		keys     policy.KeySource
		claim    any
		want     decision.Reason
		pod, acc departed.UID
	}{
		"bound to a pod":               {policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}, bound, "", departed.UIDOf("77aa"), departed.UIDOf("8d1f")},
		"bound to nothing":             {policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}, map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"uid": "8d1f"}}, decision.Unbound, departed.UID{}, departed.UID{}},
		"bound to a Secret":            {policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}, map[string]any{"secret": map[string]any{"uid": "1"}}, decision.Unbound, departed.UID{}, departed.UID{}},
		"bound to a node":              {policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}, map[string]any{"node": map[string]any{"uid": "1"}}, decision.Unbound, departed.UID{}, departed.UID{}},
		"an empty UID":                 {policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}, map[string]any{"pod": map[string]any{"uid": ""}}, decision.Unbound, departed.UID{}, departed.UID{}},
		"a UID that is a number":       {policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}, map[string]any{"pod": map[string]any{"uid": 7}}, decision.Unbound, departed.UID{}, departed.UID{}},
		"a pod that is a text":         {policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}, map[string]any{"pod": "77aa"}, decision.Unbound, departed.UID{}, departed.UID{}},
		"nothing of Kubernetes":        {policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}, nil, decision.Unbound, departed.UID{}, departed.UID{}},
		"unbound tokens are allowed":   {policy.KeySource{Kubernetes: &policy.KubernetesKeys{AllowUnbound: true}}, nil, "", departed.UID{}, departed.UID{}},
		"bound ones then too":          {policy.KeySource{Kubernetes: &policy.KubernetesKeys{AllowUnbound: true}}, bound, "", departed.UIDOf("77aa"), departed.UIDOf("8d1f")},
		"another issuer's say nothing": {policy.KeySource{JWKSURL: "https://a"}, bound, "", departed.UID{}, departed.UID{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := NewVerifier(Config{Issuer: policy.Issuer{Issuer: "https://k", Audiences: []string{"orders"}, Keys: tt.keys}})
			if err != nil {
				t.Fatal(err)
			}
			all := decision.Claims{"iss": "https://k", "aud": "orders"}
			if tt.claim != nil {
				all["kubernetes.io"] = tt.claim
			}
			r := registered{all: all, iss: "https://k", hasIss: true, exp: date{at.Add(time.Hour), true}}
			if no := v.check(&r, at); no.Reason != tt.want {
				t.Fatalf("%q, want %q", no.Reason, tt.want)
			}
			if got := v.verified(&r, "k"); tt.want == "" && (got.Pod != tt.pod || got.Account != tt.acc) {
				t.Errorf("pod %x, account %x", got.Pod, got.Account)
			}
		})
	}
}
