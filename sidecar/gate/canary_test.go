package gate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// TestSnapshotsShowNoKeys builds snapshots from garbled key sets that hold a secret, and looks for it in the errors and
// summaries.
func TestSnapshotsShowNoKeys(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f2b6a3e-canary-5f2b6a3e-canary"
	corp := gatetest.NewIssuer("https://login.example.com", "k")
	object := bundle.Object{Namespace: "shop", Name: "orders", Spec: policy.Spec{Issuers: []policy.Issuer{corp.Policy("corp")}}}
	for name, jwks := range map[string]string{
		"no JSON":           canary,
		"open JSON":         `{"keys":["` + canary,
		"a secret":          `{"keys":[{"kty":"oct","k":"` + canary + `"}]}`,
		"an unknown kty":    `{"keys":[{"kty":"` + canary + `"}]}`,
		"a private RSA key": `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","d":"` + canary + `"}]}`,
		"PEM":               "-----BEGIN PRIVATE KEY-----\n" + canary + "\n-----END PRIVATE KEY-----\n",
	} {
		b := gatetest.Bundle(t, object)
		for id := range b.KeySets {
			b.KeySets[id] = bundle.KeySet{JWKS: []byte(jwks)}
		}
		shown := ""
		s, err := gate.NewSnapshot(b, "1", gate.SnapshotOptions{Now: time.Now})
		if err != nil {
			shown = err.Error()
		}
		if s != nil {
			shown += strings.Join(s.Summary().Unresolved, " ")
		}
		if strings.Contains(shown, canary[:16]) {
			t.Errorf("%s: the secret is in %q", name, shown)
		}
	}
}
