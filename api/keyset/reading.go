package keyset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Use says what a key set is for; it decides which keys are taken from a source and what is kept of them.
type Use int

// The uses of a key set.
const (
	// Verify takes public keys and HMAC secrets from a trusted Secret; of a private key only the public half is kept.
	Verify Use = iota
	// Public takes public keys only, from places that anybody may read: a URL, a ConfigMap, an inline set. A private or
	// symmetric key there has been given away, and is left out.
	Public
	// Decrypt takes private and symmetric keys for encrypted tokens.
	Decrypt
)

// Reading says how the text of a source is read.
type Reading struct {
	Use Use
	// Format is what the text has to be. Empty: Auto.
	Format policy.KeyFormat
	// SVID takes of a JWK Set the keys for JWT-SVIDs alone, as it is a SPIFFE bundle.
	SVID bool
	// Secret says that, with format Auto, text in which no key material is recognised is a raw secret: an HMAC secret or,
	// to decrypt, a symmetric key. It does not count for Public.
	Secret bool
}

// ReadingOf returns how the keys that verify an issuer's tokens are read. Text in which no key material is recognised is
// an HMAC secret only if every algorithm of the issuer is an HMAC algorithm: beside others it might be a public key in
// a form that nobody thought of, with which everybody could make tokens.
func ReadingOf(i *policy.Issuer) Reading {
	switch k := &i.Keys; {
	case k.SecretRef != nil:
		return Reading{Use: Verify, Format: k.SecretRef.Format, Secret: i.OnlyHMAC()}
	case k.SPIFFE != nil:
		return Reading{Use: Public, Format: policy.FormatJWKS, SVID: true}
	case k.ConfigMapRef != nil:
		return Reading{Use: Public, Format: k.ConfigMapRef.Format}
	}
	return Reading{Use: Public, Format: policy.FormatJWKS}
}

// DecryptionReading returns how the keys of decryption.secretRef are read.
func DecryptionReading(r policy.KeyRef) Reading {
	return Reading{Use: Decrypt, Format: r.Format, Secret: true}
}

// NonceReading returns how what nonces are made with is read.
func NonceReading(r policy.KeyRef) Reading {
	return Reading{Use: Verify, Format: r.Format, Secret: true}
}

// Secrets returns the symmetric keys of the set, in its order.
func (s *Set) Secrets() [][]byte {
	var out [][]byte
	for _, k := range s.keys {
		if secret, ok := k.raw.([]byte); ok {
			out = append(out, secret)
		}
	}
	return out
}

// Algorithms returns the JWS algorithms that at least one key fits, sorted; for a set to decrypt, its JWE algorithms.
func (s *Set) Algorithms() []string {
	var out []string
	for _, k := range s.keys {
		out = append(out, k.algs...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Serves returns an error if none of the algorithms that keys fit, as Set.Algorithms returns them, is one that the issuer
// allows: such a source is of no use to it. The error reads on after the name of the source.
func Serves(algorithms []string, i *policy.Issuer) error {
	if slices.ContainsFunc(algorithms, i.Allows) {
		return nil
	}
	fit := strings.Join(algorithms, ", ")
	if len(i.Algorithms) == 0 {
		return fmt.Errorf("holds keys for %s alone, which work only when the issuer's algorithms list them", fit)
	}
	allowed := make([]string, len(i.Algorithms))
	for n, a := range i.Algorithms {
		allowed[n] = string(a)
	}
	return fmt.Errorf("holds no key for the issuer's algorithms (%s); its keys fit %s", strings.Join(allowed, ", "), fit)
}

// Parse is Read for text that is no raw secret, whatever its format; a set in its canonical form, say.
func Parse(data []byte, use Use) (*Set, error) { return Read(data, Reading{Use: use}) }

// Read reads key material. It recognises
//   - a JWK Set, a list of JWKs, or a single JWK (RFC 7517), as JSON that is the whole text;
//   - PEM blocks (RFC 7468) wherever they stand, each of which is a key: public keys, certificates, private keys;
//   - the DER of these alone, as it is or in base64.
//
// A byte order mark and white space around do no harm, and UTF-16 is read like UTF-8. What is none of them is a raw
// secret, every byte of it, where the Reading says so; what holds public material in any form never is one.
//
// The error says why no key at all can be used; it reads on after the name of the source ("is empty"). Keys that are
// left out beside others that are used are in Notes.
func Read(data []byte, r Reading) (*Set, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("has %d bytes; at most %d are read", len(data), MaxBytes)
	}
	text := plain(data)
	if len(text) == 0 {
		return nil, errors.New("is empty; want a JWK Set, PEM or a secret")
	}
	var c collector
	if err := c.read(data, text, r); err != nil {
		return nil, err
	}
	return c.set()
}

// read takes the keys of a source: data as it is, text as plain returns it.
func (c *collector) read(data, text []byte, r Reading) error {
	if r.Format == policy.FormatHMAC {
		return c.declaredSecret(data, text, r.Use)
	}
	raw := r.Secret && r.Use != Public && r.Format != policy.FormatJWKS && r.Format != policy.FormatPEM
	switch {
	case isJSON(text, raw):
		return c.json(text, r, raw)
	case r.Format == policy.FormatJWKS && hasPEM(text):
		return errors.New("is PEM; format JWKS wants a JWK Set")
	case r.Format == policy.FormatJWKS:
		return fmt.Errorf("is no JWK Set: %s", orElse(foreign(data, text), `want JSON, {"keys": [...]}, and nothing around it`))
	case hasPEM(text):
		c.pem(text, r.Use)
		return nil
	}
	if der, ok := bareDER(data, text); ok {
		return c.der(der, r.Use)
	}
	return c.other(data, text, r, raw)
}

// other takes text that is neither JSON nor PEM nor DER for a secret, if raw says that it may be one.
func (c *collector) other(data, text []byte, r Reading, raw bool) error {
	problem := foreign(data, text)
	switch {
	case problem != "":
		return errors.New(problem)
	case raw:
		return c.secret(data, r.Use)
	case r.Use == Verify && r.Format != policy.FormatPEM:
		return errors.New("is neither a JWK Set nor PEM nor a certificate; it is an HMAC secret only if every algorithm of " +
			"the issuer is HS256, HS384 or HS512, or with format: HMAC")
	}
	return errors.New("is neither a JWK Set nor PEM nor a certificate")
}

// json takes the keys of JSON text. raw says that a secret might be meant.
func (c *collector) json(text []byte, r Reading, raw bool) error {
	if r.Format == policy.FormatPEM {
		return errors.New("is JSON; format PEM wants PEM blocks or a certificate")
	}
	err := c.jwks(text, r)
	if err == nil && r.SVID && len(c.keys)+len(c.problems) == 0 {
		err = errors.New("holds no key whose use is jwt-svid; want a SPIFFE bundle")
	}
	if err != nil && raw && r.Use == Verify {
		err = fmt.Errorf("%w; if it is an HMAC secret, say so with format: HMAC", err)
	}
	return err
}

// declaredSecret takes text that is said to be a secret, unless it is key material all the same.
func (c *collector) declaredSecret(data, text []byte, use Use) error {
	problem := ""
	switch {
	case use != Verify:
		problem = "is no HMAC secret: this is no place for one"
	case isKeyJSON(text):
		problem = "is a JWK Set"
	case hasPEM(text):
		problem = "has a PEM block"
	default:
		if _, ok := bareDER(data, text); ok {
			problem = "is a key or certificate in DER"
		} else {
			problem = foreign(data, text)
		}
	}
	if problem != "" {
		return fmt.Errorf("%s; as format: HMAC says, want a secret, which no key or certificate is", problem)
	}
	return c.secret(data, use)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
