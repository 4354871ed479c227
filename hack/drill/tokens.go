package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"sync"
	"time"
)

// issuer is the drill's own identity provider, and address where the key server is, in the node's network.
const (
	issuer   = "https://drill.example"
	audience = "orders"
)

// signer makes RS256 tokens (RFC 7515, RFC 7519) of one key.
type signer struct {
	kid string
	key *rsa.PrivateKey
}

func newSigner(kid string) *signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return &signer{kid: kid, key: key}
}

// claims are what a good token says now.
func claims() map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": issuer, "aud": audience, "sub": "drill", "jti": rand.Text(), "scope": "orders.read",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// token signs claims.
func (s *signer) token(claims map[string]any) string {
	text := encode(map[string]any{"alg": "RS256", "kid": s.kid, "typ": "at+jwt"}) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // the key is large enough
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// unsigned is a token that says that it needs no signature (RFC 7519 section 6).
func unsigned(claims map[string]any) string {
	return encode(map[string]any{"alg": "none", "typ": "at+jwt"}) + "." + encode(claims) + "."
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// jwk is the public key (RFC 7517).
func (s *signer) jwk() map[string]any {
	return map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": s.kid,
		"n": base64.RawURLEncoding.EncodeToString(s.key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(s.key.E)).Bytes()),
	}
}

// with returns claims with one changed; nil takes it away.
func with(claims map[string]any, name string, value any) map[string]any {
	if claims[name] = value; value == nil {
		delete(claims, name)
	}
	return claims
}

// signerBox holds the signer that is in use; safe for concurrent use.
type signerBox struct {
	mu    sync.Mutex
	now   *signer // guarded by mu
	reuse string  // guarded by mu: a token of now, used again and again; empty: the first of all
}

func (b *signerBox) get() *signer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *signerBox) set(s *signer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now != nil {
		b.reuse = s.token(claims())
	}
	b.now = s
}

// known returns a token that is used again and again.
func (b *signerBox) known(first string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reuse == "" {
		return first
	}
	return b.reuse
}
