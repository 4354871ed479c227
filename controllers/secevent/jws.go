package secevent

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
)

// MaxBytes is the longest token that is read.
const MaxBytes = 64 << 10

// ErrUnknownKey is the error of a token whose key is not among those given: the provider may have new ones.
var ErrUnknownKey = errors.New("kid: names a key that the provider does not have, or none has the algorithm")

// parts are a token in compact serialization (RFC 7515 section 7.1), read and not verified.
type parts struct {
	header, claims map[string]any
	alg, kid, typ  string
	signed         string // what is signed
	signature      []byte
}

// split reads a token. It believes nothing of it.
func split(raw string) (p parts, err error) {
	if len(raw) > MaxBytes {
		return p, errors.New("the token: is longer than 64 KiB")
	}
	head, rest, _ := strings.Cut(raw, ".")
	body, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return p, errors.New("the token: is no signed one, which has 3 parts (RFC 7515 section 7.1)")
	}
	p.signed = raw[:len(head)+1+len(body)]
	if p.header, err = object("the header", head); err != nil {
		return p, err
	}
	if err := p.readHeader(); err != nil {
		return p, err
	}
	if p.claims, err = object("the payload", body); err != nil {
		return p, err
	}
	p.signature, err = decode("the signature", signature)
	return p, err
}

func decode(part, text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return nil, errors.New(part + ": is not base64url without padding")
	}
	return b, nil
}

func object(part, text string) (map[string]any, error) {
	b, err := decode(part, text)
	if err != nil {
		return nil, err
	}
	m, err := strictjson.Object(b)
	var problem *strictjson.Error
	if errors.As(err, &problem) {
		return nil, errors.New(part + ": " + problem.Problem)
	}
	return m, err
}

// readHeader takes the members that count. None that says how to read the rest, or brings a key, is taken (RFC 7515 section 4.1.11, RFC 8725
// section 3.10).
func (p *parts) readHeader() error {
	for _, name := range []string{"crit", "jwk", "b64", "zip", "enc"} {
		if _, ok := p.header[name]; ok {
			return errors.New("the header: has " + name)
		}
	}
	for name, to := range map[string]*string{"alg": &p.alg, "kid": &p.kid, "typ": &p.typ} {
		v, there := p.header[name]
		text, ok := v.(string)
		if there && !ok {
			return errors.New(name + ": is no string")
		}
		*to = text
	}
	p.typ = strings.TrimPrefix(strings.ToLower(p.typ), "application/") // RFC 7515 section 4.1.9
	if !keyset.CanVerify(p.alg) {
		return errors.New("alg: is none of RS256, PS256, ES256 and their longer forms, EdDSA and Ed25519")
	}
	return nil
}

// verify checks the signature by the keys that the header names.
func (p *parts) verify(keys []keyset.Key) error {
	fits := false
	for i := range keys {
		k := &keys[i]
		if k.Symmetric() || !k.Fits(p.alg) || p.kid != "" && k.ID != "" && k.ID != p.kid {
			continue
		}
		fits = true
		if k.Verifies(p.alg, []byte(p.signed), p.signature) {
			return nil
		}
	}
	if !fits {
		return ErrUnknownKey
	}
	return errors.New("the signature: is none of the provider's keys")
}
