package secevent_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/controllers/secevent"
)

const issuer = "https://login.example.com"

var (
	now   = time.Unix(1_800_000_000, 0)
	rules = secevent.Rules{Issuer: issuer, Audiences: []string{"shop", "pay"}}
)

type object = map[string]any

// signer signs as a provider does, or as an attacker might.
type signer struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	pem []byte // the RSA public key
	set []keyset.Key
}

var provider = sync.OnceValue(newSigner)

func newSigner() *signer {
	s := &signer{}
	var err error
	if s.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	if s.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	point, err := s.ec.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	text, _ := json.Marshal(object{"keys": []object{
		{"kty": "RSA", "kid": "r", "n": b64(s.rsa.N.Bytes()), "e": "AQAB"},
		{"kty": "EC", "kid": "e", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
	}})
	set, err := keyset.Parse(text, keyset.Public)
	if err != nil {
		panic(err)
	}
	s.set = set.Keys()
	der, err := x509.MarshalPKIXPublicKey(&s.rsa.PublicKey)
	if err != nil {
		panic(err)
	}
	s.pem = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return s
}

func part(v any) string {
	text, ok := v.(string)
	if !ok {
		b, _ := json.Marshal(v)
		text = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// sign makes a token of a header and claims, which are objects or the very text.
func (s *signer) sign(header, claims any) string {
	signed := part(header) + "." + part(claims)
	h, _ := header.(object)
	sum := sha256.Sum256([]byte(signed))
	var sig []byte
	var err error
	switch h["alg"] {
	case "ES256":
		r, x, e := ecdsa.Sign(rand.Reader, s.ec, sum[:])
		sig, err = append(r.FillBytes(make([]byte, 32)), x.FillBytes(make([]byte, 32))...), e
	case "PS256":
		sig, err = rsa.SignPSS(rand.Reader, s.rsa, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case "HS256":
		mac := hmac.New(sha256.New, s.pem)
		mac.Write([]byte(signed))
		sig = mac.Sum(nil)
	case "none":
	default:
		sig, err = rsa.SignPKCS1v15(rand.Reader, s.rsa, crypto.SHA256, sum[:])
	}
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func header(with object) object {
	h := object{"alg": "RS256", "kid": "r", "typ": "logout+jwt"}
	return change(h, with)
}

// change returns m with members changed, and those that are nil taken out.
func change(m, with object) object {
	out := maps.Clone(m)
	for name, v := range with {
		if out[name] = v; v == nil {
			delete(out, name)
		}
	}
	return out
}
