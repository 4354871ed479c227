package gate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// BenchmarkNewToken is a request with a token that was never seen, with the claims and two of the rules of hack/bench/proxy. The
// allocations are of what is beside the cryptography.
func BenchmarkNewToken(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			jwks, sign := benchSigner(b, alg)
			s, err := gate.NewSnapshot(gatetest.Bundle(b, gatetest.Policy("orders", newTokenPolicy(jwks))), "test", gate.SnapshotOptions{CacheBytes: -1})
			if err != nil {
				b.Fatal(err)
			}
			g := gate.New(gate.Options{})
			g.Swap(s)
			now := time.Now()
			var requests [64]*gate.Request
			for i := range requests {
				requests[i] = get("/orders/77?page=2", "Authorization", "Bearer "+sign(newTokenClaims(now, i)), "Accept", "*/*")
				requests[i].Header = asParsed(requests[i].Header.(http.Header))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if v, wait := g.JudgeNow(requests[i%len(requests)]); wait != nil || v.Reason != decision.Allowed {
					b.Fatal(v.Reason)
				}
			}
		})
	}
}

func newTokenPolicy(jwks string) policy.Spec {
	orders := policy.Conditions{
		Scopes: []string{"orders.read"},
		Claims: []policy.ClaimCondition{{Claim: "realm_access.roles", AnyOf: []string{"reader", "admin"}}},
	}
	return policy.Spec{
		Issuers: []policy.Issuer{{
			Name: "corp", Issuer: "https://login.example.com", Audiences: []string{"orders"}, Keys: policy.KeySource{JWKS: jwks},
			Algorithms: []policy.Algorithm{"RS256", "ES256"}, RequiredClaims: []string{"sub", "jti"},
		}},
		Rules: []policy.Rule{
			{Name: "orders", Match: []policy.Match{{Paths: []string{"/orders", "/orders/{id}"}}}, Allow: &policy.Allow{Conditions: orders}},
			{Name: "own", Match: []policy.Match{{Paths: []string{"/users/{user}/**"}}}, Allow: &policy.Allow{Conditions: policy.Conditions{When: "path.user == claims.sub"}}},
		},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{
			{Name: "X-User", Claim: "sub"}, {Name: "X-Roles", Claim: "realm_access.roles", Format: policy.FormatCSV},
		}},
	}
}

func newTokenClaims(now time.Time, i int) map[string]any {
	return map[string]any{
		"iss": "https://login.example.com", "aud": "orders", "sub": fmt.Sprintf("user-%06d", i),
		"iat": now.Unix(), "nbf": now.Unix() - 60, "exp": now.Add(7 * 24 * time.Hour).Unix(),
		"jti": fmt.Sprintf("3e1b9a52-7f70-4c0f-9d3c-%012d", i), "azp": "storefront",
		"scope": "openid orders.read orders.write", "tenant": "acme",
		"realm_access": map[string]any{"roles": []string{"reader", "editor"}},
	}
}

// benchSigner makes a key, its JWK Set and what signs claims with it.
func benchSigner(b *testing.B, alg string) (jwks string, sign func(map[string]any) string) {
	b.Helper()
	var public any
	var signature func(digest []byte) ([]byte, error)
	switch alg {
	case "RS256":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			b.Fatal(err)
		}
		public, signature = &key.PublicKey, func(digest []byte) ([]byte, error) { return rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest) }
	default:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		public = &key.PublicKey
		signature = func(digest []byte) ([]byte, error) {
			r, s, err := ecdsa.Sign(rand.Reader, key, digest)
			if err != nil {
				return nil, err
			}
			return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
		}
	}
	k, err := jwk.FromRaw(public)
	if err != nil {
		b.Fatal(err)
	}
	text, err := json.Marshal(k)
	if err != nil {
		b.Fatal(err)
	}
	return `{"keys":[{"kid":"` + alg + `",` + string(text[1:]) + `]}`, func(claims map[string]any) string {
		payload, err := json.Marshal(claims)
		if err != nil {
			b.Fatal(err)
		}
		encode := base64.RawURLEncoding.EncodeToString
		input := encode([]byte(`{"alg":"`+alg+`","kid":"`+alg+`","typ":"JWT"}`)) + "." + encode(payload)
		digest := sha256.Sum256([]byte(input))
		made, err := signature(digest[:])
		if err != nil {
			b.Fatal(err)
		}
		return input + "." + encode(made)
	}
}
