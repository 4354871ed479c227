package flow_test

import (
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// The API server takes an allow rule with any one condition: its schema and the compiler agree on what says who is allowed.
func TestEachConditionIsEnoughAlone(t *testing.T) {
	ns, key := newNamespace(t), newKey(t)
	for name, allow := range map[string]policy.Allow{
		"scopes":         {Conditions: policy.Conditions{Scopes: []string{"a"}}},
		"actors":         {Conditions: policy.Conditions{Actors: &policy.Actors{AnyOf: []string{"bot"}}}},
		"spiffe-ids":     {Conditions: policy.Conditions{SPIFFEIDs: []string{"spiffe://example.org/shop"}}},
		"authentication": {Authentication: &policy.Authentication{MaxAge: &policy.Duration{Duration: time.Minute}}},
	} {
		p := newPolicy(t, ns, key)
		p.Name = name
		if name == "spiffe-ids" {
			p.Spec.Issuers = append(p.Spec.Issuers, policy.Issuer{Name: "mesh", Audiences: []string{"orders"}, Keys: policy.KeySource{
				SPIFFE: &policy.SPIFFE{TrustDomain: "example.org", BundleURL: "https://bundle.example.org/"},
			}})
		}
		p.Spec.Rules = append(p.Spec.Rules, policy.Rule{Name: "one", Allow: &allow})
		create(t, p)
	}
}
