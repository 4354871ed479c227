package mint

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Thumbprint returns the thumbprint (RFC 7638, SHA-256) of the key that signs with these options: the cnf.jkt of tokens that are bound to
// it (RFC 9449 section 6.1). The public half is enough.
func (k Keys) Thumbprint(o SignOptions) (string, error) {
	key, _, _, err := k.pick(o.KeyID, o.Algorithm, Signature)
	if err != nil {
		return "", err
	}
	if key.KeyType() == jwa.OctetSeq {
		return "", fmt.Errorf("key %s: is symmetric; a proof needs a key pair", name(key))
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("compute the thumbprint of key %s: %w", name(key), err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// Prove returns a DPoP proof (RFC 9449 section 4.2) with these claims: a JWS of type dpop+jwt with the public key in its header.
func Prove(claims []byte, keys Keys, o SignOptions) (string, error) {
	key, _, _, err := keys.pick(o.KeyID, o.Algorithm, Signature)
	if err != nil {
		return "", err
	}
	public, err := publicMembers(key)
	if err != nil {
		return "", fmt.Errorf("key %s: %w", name(key), err)
	}
	o.Header = overlay(map[string]any{"typ": "dpop+jwt", "jwk": public, "kid": nil}, o.Header)
	if _, given := o.Header["kid"]; !given {
		o.Header["kid"] = nil
	}
	return Sign(claims, keys, o)
}

// publicMembers returns the public JWK of a key, with the members alone that its thumbprint is of.
func publicMembers(key jwk.Key) (map[string]any, error) {
	if key.KeyType() == jwa.OctetSeq {
		return nil, errors.New("is symmetric; a proof needs a key pair")
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("take the public half: %w", err)
	}
	text, err := json.Marshal(public)
	if err != nil {
		return nil, fmt.Errorf("encode the public half: %w", err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("encode the public half: %w", err)
	}
	for _, extra := range []string{"kid", "use", "alg", "key_ops", "x5c", "x5t", "x5t#S256", "x5u"} {
		delete(members, extra)
	}
	return members, nil
}
