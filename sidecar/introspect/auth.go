package introspect

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384, crypto.SHA512
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// assertionLife is how long a client assertion is good: it is used at once.
const assertionLife = time.Minute

// present adds to the form what says who asks, unless the header or the connection does.
func (e *Endpoint) present(form url.Values, at string) error {
	switch e.spec.Auth {
	case policy.AuthPost:
		form.Set("client_id", e.cred.ClientID)
		form.Set("client_secret", e.cred.ClientSecret)
	case policy.AuthMTLS: // RFC 8705 section 2
		form.Set("client_id", e.cred.ClientID)
	case policy.AuthPrivateKeyJWT:
		assertion, err := e.assertion(at)
		if err != nil {
			return err
		}
		form.Set("client_id", e.cred.ClientID)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	case policy.AuthBasic:
	}
	return nil
}

// assertion is a JWT by which the sidecar proves who it is (RFC 7523 sections 2.2 and 3). It is for the issuer, whose name no
// other server can be made to have; where that is not known, for the endpoint.
func (e *Endpoint) assertion(at string) (string, error) {
	audience := e.issuer
	if audience == "" {
		audience = at
	}
	now := e.pool.now()
	head := map[string]any{"alg": algorithm(e.signer), "typ": "JWT"}
	if e.cred.KeyID != "" {
		head["kid"] = e.cred.KeyID
	}
	claims := map[string]any{
		"iss": e.cred.ClientID, "sub": e.cred.ClientID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	}
	first, err := part(head)
	if err != nil {
		return "", err
	}
	second, err := part(claims)
	if err != nil {
		return "", err
	}
	signature, err := sign(e.signer, first+"."+second)
	if err != nil {
		return "", errors.New("the client assertion cannot be signed")
	}
	return first + "." + second + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func part(v any) (string, error) {
	b, err := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// algorithm is the one that a key signs with here (RFC 7518 section 3.1, RFC 8037).
func algorithm(key crypto.Signer) string {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return "RS256"
	case *ecdsa.PrivateKey:
		switch k.Curve.Params().BitSize {
		case 384:
			return "ES384"
		case 521:
			return "ES512"
		}
		return "ES256"
	}
	return "EdDSA"
}

// sign signs with the algorithm of the key. ECDSA's two numbers have a fixed length each (RFC 7518 section 3.4).
func sign(key crypto.Signer, text string) ([]byte, error) {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return k.Sign(rand.Reader, []byte(text), crypto.Hash(0))
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest(crypto.SHA256, text))
	case *ecdsa.PrivateKey:
		hash := map[int]crypto.Hash{256: crypto.SHA256, 384: crypto.SHA384, 521: crypto.SHA512}[k.Curve.Params().BitSize]
		r, s, err := ecdsa.Sign(rand.Reader, k, digest(hash, text))
		if err != nil {
			return nil, err
		}
		size := (k.Curve.Params().BitSize + 7) / 8
		out := make([]byte, 2*size)
		r.FillBytes(out[:size])
		s.FillBytes(out[size:])
		return out, nil
	}
	return nil, errors.New("not a key that signs")
}

func digest(h crypto.Hash, text string) []byte {
	d := h.New()
	d.Write([]byte(text)) // never fails
	return d.Sum(nil)
}
