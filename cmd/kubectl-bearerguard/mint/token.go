package mint

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// SignOptions says how to sign. The zero value of a field is its default.
type SignOptions struct {
	// KeyID picks the key by its "kid". Default: the first key that fits.
	KeyID string
	// Algorithm is the JWS algorithm. Default: the key's own "alg", else the usual one for its type.
	Algorithm string
	// Header members are added to alg, kid and typ, or replace them; nil as a value leaves one out. What a header says
	// does not change how the token is signed, so that wrong headers can be minted too.
	Header map[string]any
}

// Sign returns the compact JWS of a payload (RFC 7515 section 3.1).
func Sign(payload []byte, keys Keys, o SignOptions) (string, error) {
	key, raw, alg, err := keys.pick(o.KeyID, o.Algorithm, Signature)
	if err != nil {
		return "", err
	}
	if private, err := jwk.IsPrivateKey(key); err == nil && !private && alg.family != familyOct {
		return "", fmt.Errorf("key %s: is public; signing needs the private key", name(key))
	}
	header := map[string]any{"alg": alg.name, "typ": "JWT"}
	if key.KeyID() != "" {
		header["kid"] = key.KeyID()
	}
	head, err := json.Marshal(overlay(header, o.Header))
	if err != nil {
		return "", fmt.Errorf("encode the header: %w", err)
	}
	input := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := sign([]byte(input), raw, alg)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", name(key), err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func sign(input []byte, raw any, alg algorithm) ([]byte, error) {
	// RFC 9864 gave EdDSA over edwards25519 the name Ed25519; jwx knows the old one only.
	if key, ok := raw.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, input), nil
	}
	signer, err := jws.NewSigner(jwa.SignatureAlgorithm(alg.name))
	if err != nil {
		return nil, err
	}
	return signer.Sign(input, raw)
}

// EncryptOptions says how to encrypt. The zero value of a field is its default.
type EncryptOptions struct {
	// KeyID picks the key by its "kid". Default: the first key that fits.
	KeyID string
	// Algorithm is the JWE key management algorithm. Default: the key's own "alg", else the usual one for its type.
	Algorithm string
	// Content is the content encryption algorithm, "enc". Default: A256GCM; with dir, the one that fits the key.
	Content string
	// Header members are added to alg, enc and kid. alg and enc themselves cannot be changed.
	Header map[string]any
}

// Encrypt returns the compact JWE of a payload (RFC 7516 section 3.1). For a nested token the payload is a JWS and the
// header has cty "JWT" (RFC 7519 section 5.2). The public half of a key pair is enough.
func Encrypt(payload []byte, keys Keys, o EncryptOptions) (string, error) {
	key, raw, alg, err := keys.pick(o.KeyID, o.Algorithm, Encryption)
	if err != nil {
		return "", err
	}
	content, err := contentFor(o.Content, raw, alg)
	if err != nil {
		return "", err
	}
	header := map[string]any{}
	if key.KeyID() != "" {
		header["kid"] = key.KeyID()
	}
	protected := jwe.NewHeaders()
	for member, value := range overlay(header, o.Header) {
		if member == "alg" || member == "enc" {
			return "", fmt.Errorf("the JWE header's %s follows from the key and the options; it cannot be set", member)
		}
		if err := protected.Set(member, value); err != nil {
			return "", fmt.Errorf("set the JWE header's %s: %w", member, err)
		}
	}
	public, err := jwk.PublicRawKeyOf(raw)
	if err != nil {
		return "", fmt.Errorf("key %s: %w", name(key), err)
	}
	token, err := jwe.Encrypt(payload, jwe.WithKey(jwa.KeyEncryptionAlgorithm(alg.name), public),
		jwe.WithContentEncryption(content), jwe.WithProtectedHeaders(protected))
	if err != nil {
		return "", fmt.Errorf("encrypt with key %s: %w", name(key), err)
	}
	return string(token), nil
}

// contentFor settles "enc". With dir the key is the content key, so its size says which (RFC 7518 section 4.5).
func contentFor(enc string, raw any, alg algorithm) (jwa.ContentEncryptionAlgorithm, error) {
	sizes := map[string]int{
		"A128GCM": 16, "A192GCM": 24, "A256GCM": 32, "A128CBC-HS256": 32, "A192CBC-HS384": 48, "A256CBC-HS512": 64,
	}
	secret, _ := raw.([]byte)
	if enc == "" {
		enc = "A256GCM"
		for _, known := range ContentAlgorithms() {
			if alg.name == "dir" && sizes[known] == len(secret) {
				enc = known
				break
			}
		}
	}
	size, ok := sizes[enc]
	if !ok {
		return "", fmt.Errorf("enc %q is none of %v", enc, ContentAlgorithms())
	}
	if alg.name == "dir" && size != len(secret) {
		return "", fmt.Errorf("dir with %s needs a key of %d bytes; this one has %d", enc, size, len(secret))
	}
	return jwa.ContentEncryptionAlgorithm(enc), nil
}

// overlay returns base with the members of over added or replaced, and without those that are nil in over.
func overlay(base, over map[string]any) map[string]any {
	out := maps.Clone(base)
	for member, value := range over {
		if value == nil {
			delete(out, member)
			continue
		}
		out[member] = value
	}
	return out
}

// Encode writes claims as compact JSON with sorted members and no escaping of <, > and &.
func Encode(claims map[string]any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(claims); err != nil {
		return nil, errors.New("claims cannot be written as JSON")
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}
