package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"

	"github.com/bearerguard/bearerguard/api/policy"
)

// TestJWTSVIDs has JWT-SVIDs judged by the bundle as SPIFFE's library writes it, and wants the library to agree on which are
// valid.
func TestJWTSVIDs(t *testing.T) {
	t.Parallel()
	domain := spiffeid.RequireTrustDomainFromString("example.org")
	bundle := spiffebundle.New(domain)
	bundle.SetRefreshHint(10 * time.Minute)
	bundle.SetSequenceNumber(3)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for kid, key := range map[string]crypto.Signer{"rsa": rsaKey, "ec": ecKey} {
		if err := bundle.AddJWTAuthority(kid, key.Public()); err != nil {
			t.Fatal(err)
		}
	}
	text, err := bundle.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	url := guard(t, policy.Spec{
		Issuers: []policy.Issuer{{Name: "mesh", Audiences: []string{"orders"}, Keys: policy.KeySource{
			SPIFFE: &policy.SPIFFE{TrustDomain: "example.org", BundleURL: "https://spire.example.org/bundle"},
		}}},
		Rules: []policy.Rule{{Name: "carts", Allow: &policy.Allow{Conditions: policy.Conditions{SPIFFEIDs: []string{"spiffe://example.org/ns/*/sa/cart"}}}}},
	}, text)
	mint := func(alg jose.SignatureAlgorithm, kid string, key any, sub, aud string, life time.Duration) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, new(jose.SignerOptions).WithType("JWT"))
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(s).Claims(jwt.Claims{Subject: sub, Audience: jwt.Audience{aud}, Expiry: jwt.NewNumericDate(time.Now().Add(life))}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	const cart, other = "spiffe://example.org/ns/shop/sa/cart", "spiffe://example.org/ns/shop/sa/other"
	for name, tt := range map[string]struct {
		token string
		want  int
		valid bool // to the library
	}{
		"RS256":                {mint(jose.RS256, "rsa", rsaKey, cart, "orders", time.Hour), 200, true},
		"PS512":                {mint(jose.PS512, "rsa", rsaKey, cart, "orders", time.Hour), 200, true},
		"ES256":                {mint(jose.ES256, "ec", ecKey, cart, "orders", time.Hour), 200, true},
		"another workload":     {mint(jose.ES256, "ec", ecKey, other, "orders", time.Hour), 403, true},
		"another audience":     {mint(jose.ES256, "ec", ecKey, cart, "pay", time.Hour), 401, false},
		"expired":              {mint(jose.ES256, "ec", ecKey, cart, "orders", -time.Hour), 401, false},
		"another trust domain": {mint(jose.ES256, "ec", ecKey, "spiffe://example.com/ns/shop/sa/cart", "orders", time.Hour), 401, false},
		"no SPIFFE ID":         {mint(jose.ES256, "ec", ecKey, "cart", "orders", time.Hour), 401, false},
		"a path with an end":   {mint(jose.ES256, "ec", ecKey, cart+"/", "orders", time.Hour), 401, false},
		"an unknown kid":       {mint(jose.ES256, "x", ecKey, cart, "orders", time.Hour), 401, false},
	} {
		if status, _ := ask(t, url, tt.token); status != tt.want {
			t.Errorf("%s: %d, want %d", name, status, tt.want)
		}
		if _, err := jwtsvid.ParseAndValidate(tt.token, bundle, []string{"orders"}); (err == nil) != tt.valid {
			t.Errorf("%s: the library says %v", name, err)
		}
	}
}
