package keyset

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

type object = map[string]any

const gone = "\x00gone"

// with returns a copy of o with members set, or deleted where the value is gone.
func with(o, members object) object {
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

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// ring holds one key of each kind, made for this run.
type ring struct {
	rsa, rsa2, weak *rsa.PrivateKey
	p256, p521, k1  *ecdsa.PrivateKey
	ed              ed25519.PrivateKey
	x25519          *ecdh.PrivateKey
	secret          []byte
}

var keys = sync.OnceValue(func() *ring {
	r := &ring{secret: []byte(strings.Repeat("secret-canary-0123456789abcdef!!", 2))}
	r.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	r.rsa2, _ = rsa.GenerateKey(rand.Reader, 2048)
	r.weak, _ = rsa.GenerateKey(rand.Reader, 1024)
	r.p256, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.p521, _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	k1, _ := secp256k1.GeneratePrivateKey()
	r.k1 = k1.ToECDSA()
	_, r.ed, _ = ed25519.GenerateKey(rand.Reader)
	r.x25519, _ = ecdh.X25519().GenerateKey(rand.Reader)
	return r
})

// public returns the JWK of a key.
func public(key any) object {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return object{"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PrivateKey:
		crv, size := k.Curve.Params().Name, (k.Curve.Params().BitSize+7)/8
		if k.Curve == secp256k1.S256() {
			crv = "secp256k1"
		}
		point := append(k.X.FillBytes(make([]byte, size)), k.Y.FillBytes(make([]byte, size))...) //nolint:staticcheck // the JWK needs them
		return object{"kty": "EC", "crv": crv, "x": b64(point[:size]), "y": b64(point[size:])}
	case ed25519.PrivateKey:
		return object{"kty": "OKP", "crv": "Ed25519", "x": b64(k[32:])}
	case *ecdh.PrivateKey:
		return object{"kty": "OKP", "crv": "X25519", "x": b64(k.PublicKey().Bytes())}
	case []byte:
		return object{"kty": "oct", "k": b64(k)}
	}
	panic("unknown kind of key")
}

// private returns the JWK of a private key.
func private(key any) object {
	j := public(key)
	switch k := key.(type) {
	case *rsa.PrivateKey:
		j["d"], j["p"], j["q"] = b64(k.D.Bytes()), b64(k.Primes[0].Bytes()), b64(k.Primes[1].Bytes())
	case *ecdsa.PrivateKey:
		j["d"] = b64(k.D.FillBytes(make([]byte, (k.Curve.Params().BitSize+7)/8))) //nolint:staticcheck // the JWK needs it
	case ed25519.PrivateKey:
		j["d"] = b64(k.Seed())
	case *ecdh.PrivateKey:
		j["d"] = b64(k.Bytes())
	}
	return j
}

func jwks(list ...any) string { return text(object{"keys": list}) }

func block(label string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

// certificate makes a certificate for a public key; with a nil parent it signs itself.
func certificate(t testing.TB, name string, pub any, parent *x509.Certificate, signer any) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
