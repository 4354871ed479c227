package gatetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"time"
)

// Prover makes DPoP proofs (RFC 9449) with a P-256 key that follows from its name.
type Prover struct{ key *ecdsa.PrivateKey }

// NewProver returns the prover of a name.
func NewProver(name string) *Prover {
	seed := sha256.Sum256([]byte("prover " + name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		panic(err) // a mistake in the test
	}
	return &Prover{key}
}

// JWK is the public key.
func (p *Prover) JWK() map[string]any {
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]any{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
}

// JKT is the thumbprint of the key (RFC 7638).
func (p *Prover) JKT() string {
	k := p.JWK()
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + k["x"].(string) + `","y":"` + k["y"].(string) + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Confirmation is the claims that bind a token to the key.
func (p *Prover) Confirmation() map[string]any {
	return map[string]any{"cnf": map[string]any{"jkt": p.JKT()}}
}

// Made is what a proof is made for.
type Made struct {
	Method, URL, Token, ID string
	At                     time.Time
	// Header and Claims are added and replace what is there; nil values remove.
	Header, Claims map[string]any
}

// Proof makes a proof.
func (p *Prover) Proof(m Made) string {
	sum := sha256.Sum256([]byte(m.Token))
	header := map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": p.JWK()}
	claims := map[string]any{
		"htm": m.Method, "htu": m.URL, "jti": m.ID, "iat": m.At.Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	for to, from := range map[*map[string]any]map[string]any{&header: m.Header, &claims: m.Claims} {
		maps.Copy(*to, from)
		maps.DeleteFunc(*to, func(_ string, v any) bool { return v == nil })
	}
	input := encode(header) + "." + encode(claims)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, digest[:])
	if err != nil {
		panic(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}
