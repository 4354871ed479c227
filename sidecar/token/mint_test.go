package token

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/x25519"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// now is the time of every test.
var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

type object = map[string]any

// with returns a copy of o with members set, or deleted where the value is gone.
func with(o object, members object) object {
	out := maps.Clone(o)
	for k, v := range members {
		if v == gone {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

const gone = "\x00gone"

func claims() object {
	return object{
		"iss": "https://login.example.com", "aud": "orders", "sub": "alice", "jti": "id-1", "sid": "session-1",
		"exp": now.Add(time.Hour).Unix(), "iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(),
	}
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func enc64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// sign makes a JWS whose signature is alg's, whatever header and payload say. A string is taken as it is.
func sign(alg string, key any, header, payload any) string {
	input := enc64(text(header)) + "." + enc64(text(payload))
	return input + "." + enc64(string(signature(alg, key, input)))
}

func signature(alg string, key any, input string) []byte {
	if alg == "Ed25519" {
		alg = "EdDSA"
	}
	s, err := jws.NewSigner(jwa.SignatureAlgorithm(alg))
	if err != nil {
		panic(err)
	}
	sig, err := s.Sign([]byte(input), key)
	if err != nil {
		panic(err)
	}
	return sig
}

// seal makes a JWE of the plaintext.
func seal(alg, enc string, key any, header object, plain string) string {
	h, zip := jwe.NewHeaders(), jwa.NoCompress
	for k, v := range header {
		if k == "zip" {
			zip = jwa.Deflate
			continue
		}
		if err := h.Set(k, v); err != nil {
			panic(err)
		}
	}
	out, err := jwe.Encrypt([]byte(plain), jwe.WithKey(jwa.KeyEncryptionAlgorithm(alg), key),
		jwe.WithContentEncryption(jwa.ContentEncryptionAlgorithm(enc)), jwe.WithProtectedHeaders(h), jwe.WithCompress(zip))
	if err != nil {
		panic(fmt.Sprintf("%s %s: %v", alg, enc, err))
	}
	return string(out)
}

// ring holds one key of each kind, made for this run.
type ring struct {
	rsa, rsa2            *rsa.PrivateKey
	p256, p384, p521, k1 *ecdsa.PrivateKey
	ed                   ed25519.PrivateKey
	x25519               *ecdh.PrivateKey
	secret               []byte // 64 bytes
}

var keys = sync.OnceValue(func() *ring {
	r := &ring{secret: make([]byte, 64)}
	_, _ = rand.Read(r.secret)
	r.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	r.rsa2, _ = rsa.GenerateKey(rand.Reader, 2048)
	r.p256, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.p384, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	r.p521, _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	k1, _ := secp256k1.GeneratePrivateKey()
	r.k1 = k1.ToECDSA()
	_, r.ed, _ = ed25519.GenerateKey(rand.Reader)
	r.x25519, _ = ecdh.X25519().GenerateKey(rand.Reader)
	return r
})

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// public returns the JWK of a key with this kid and alg; either may be empty.
func public(key any, kid, alg string) object {
	j := object{}
	if kid != "" {
		j["kid"] = kid
	}
	if alg != "" {
		j["alg"] = alg
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		j["kty"], j["n"], j["e"] = "RSA", b64(k.N.Bytes()), "AQAB"
	case *ecdsa.PrivateKey:
		size := (k.Curve.Params().BitSize + 7) / 8
		x, y := k.X.FillBytes(make([]byte, size)), k.Y.FillBytes(make([]byte, size)) //nolint:staticcheck // the JWK needs them
		crv := k.Curve.Params().Name
		if k.Curve == secp256k1.S256() {
			crv = "secp256k1"
		}
		j["kty"], j["crv"], j["x"], j["y"] = "EC", crv, b64(x), b64(y)
	case ed25519.PrivateKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64(k[32:])
	case *ecdh.PrivateKey:
		j["kty"], j["crv"], j["x"] = "OKP", "X25519", b64(k.PublicKey().Bytes())
	case []byte:
		j["kty"], j["k"] = "oct", b64(k)
	}
	return j
}

// private returns the JWK of a private key.
func private(key any, kid, alg string) object {
	j := public(key, kid, alg)
	switch k := key.(type) {
	case *rsa.PrivateKey:
		j["d"], j["p"], j["q"] = b64(k.D.Bytes()), b64(k.Primes[0].Bytes()), b64(k.Primes[1].Bytes())
	case *ecdsa.PrivateKey:
		j["d"] = b64(k.D.FillBytes(make([]byte, (k.Curve.Params().BitSize+7)/8))) //nolint:staticcheck // the JWK needs it
	case *ecdh.PrivateKey:
		j["d"] = b64(k.Bytes())
	}
	return j
}

func set(t testing.TB, use keyset.Use, jwks ...object) *keyset.Set {
	t.Helper()
	s, err := keyset.Parse([]byte(text(object{"keys": jwks})), use)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Notes()) > 0 {
		t.Fatal(s.Notes())
	}
	return s
}

func issuer(edit func(*policy.Issuer)) policy.Issuer {
	i := policy.Issuer{Name: "corp", Issuer: "https://login.example.com", Audiences: []string{"orders"}}
	if edit != nil {
		edit(&i)
	}
	return i
}

func newVerifier(t testing.TB, c Config) *Verifier {
	t.Helper()
	v, err := NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// verify runs a raw token through the whole of it.
func verify(v *Verifier, raw string) (Verified, decision.Reason) {
	out, no := refusal(v, raw)
	return out, no.Reason
}

// refusal is verify with the cause.
func refusal(v *Verifier, raw string) (Verified, decision.Refusal) {
	t, no := Parse(raw)
	if no.Refused() {
		return Verified{}, no
	}
	return v.Verify(t, now)
}

// x25519Public is the public half as jwx wants it.
func x25519Public(k *ecdh.PrivateKey) x25519.PublicKey {
	return x25519.PublicKey(k.PublicKey().Bytes())
}
