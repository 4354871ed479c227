package keyset

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Bounds of a source.
const (
	// MaxBytes is the largest source that is read, in bytes.
	MaxBytes = 1 << 20
	// MaxKeys is the largest number of keys in a source.
	MaxKeys = 100
	// MinSecret is the shortest HMAC secret, in bytes: the hash length of HS256 (RFC 7518 section 3.2).
	MinSecret = 32
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

// Set is an immutable set of vetted keys. It is safe for concurrent use and never prints key material.
type Set struct {
	keys     []Key
	problems []string
}

// Parse reads a JWK Set or a single JWK (RFC 7517), PEM blocks (public keys, certificates, private keys), or, but for
// Public, a raw symmetric secret: whatever is neither JSON nor PEM, every byte of it.
//
// The error says why no key at all can be used; it reads on after the name of the source ("is empty"). Keys that are
// left out beside others that are used are in Problems.
func Parse(data []byte, use Use) (*Set, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("has %d bytes; at most %d are read", len(data), MaxBytes)
	}
	var c collector
	var err error
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(trimmed) == 0:
		return nil, errors.New("is empty; want a JWK Set, PEM or a secret")
	case trimmed[0] == '{':
		err = c.jwks(data, use)
	case bytes.HasPrefix(trimmed, []byte("-----BEGIN ")):
		err = c.pem(trimmed, use)
	case use == Public:
		err = errors.New("is neither a JWK Set nor PEM")
	default:
		err = c.secret(data, use)
	}
	if err != nil {
		return nil, err
	}
	return c.set()
}

// Keys returns the keys in canonical order. The slice is shared: do not change it.
func (s *Set) Keys() []Key { return s.keys }

// Len returns the number of keys.
func (s *Set) Len() int { return len(s.keys) }

// Problems names each key that was left out, by kid, thumbprint or position, and says why.
func (s *Set) Problems() []string { return s.problems }

// String says how many keys there are.
func (s *Set) String() string { return fmt.Sprintf("%d keys", len(s.keys)) }

// collector gathers keys and problems from a source.
type collector struct {
	keys     []Key
	problems []string
}

// add takes a key, or the reason for leaving it out. name is how the key is called in a problem.
func (c *collector) add(name string, k Key, err error) {
	if err != nil {
		c.problems = append(c.problems, name+": "+err.Error())
		return
	}
	c.keys = append(c.keys, k)
}

func (c *collector) secret(data []byte, use Use) error {
	if use != Decrypt && len(data) < MinSecret {
		return fmt.Errorf("is neither a JWK Set nor PEM, and as an HMAC secret its %d bytes are too few; want at least %d",
			len(data), MinSecret)
	}
	k, err := symmetric(bytes.Clone(data), use)
	if err != nil {
		return fmt.Errorf("as a raw secret %w", err)
	}
	k, err = k.withAlg("")
	if err != nil {
		return err
	}
	c.add("raw secret", k, nil)
	return nil
}

// set settles duplicates, sorts, and returns the set if any key is left.
func (c *collector) set() (*Set, error) {
	c.duplicates()
	if len(c.keys) == 0 {
		if len(c.problems) == 0 {
			return nil, errors.New("holds no keys")
		}
		return nil, fmt.Errorf("holds no usable key: %s", joinFew(c.problems))
	}
	sortKeys(c.keys)
	return &Set{keys: c.keys, problems: c.problems}, nil
}

// joinFew joins the first problems, and counts the rest.
func joinFew(problems []string) string {
	const few = 5
	if len(problems) <= few {
		return strings.Join(problems, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(problems[:few], "; "), len(problems)-few)
}

// duplicates drops keys that are there twice, and all keys of a kid that would leave the choice between two open.
func (c *collector) duplicates() {
	spoilt := map[string]bool{}
	var kept []Key
	for _, k := range c.keys {
		same := false
		for _, other := range kept {
			if k.ID != other.ID {
				continue
			}
			switch {
			case k.equal(other):
				same = true
			case k.ID != "" && k.overlaps(other):
				spoilt[k.ID] = true
			}
		}
		if !same {
			kept = append(kept, k)
		}
	}
	c.keys = nil
	reported := map[string]bool{}
	for _, k := range kept {
		switch {
		case !spoilt[k.ID]:
			c.keys = append(c.keys, k)
		case !reported[k.ID]:
			reported[k.ID] = true
			c.problems = append(c.problems, "kid "+quoteKid(k.ID)+": is given to different keys of one algorithm; all are left out")
		}
	}
}

// overlaps reports whether any algorithm fits both keys.
func (k Key) overlaps(other Key) bool {
	for _, a := range k.algs {
		if other.Fits(a) {
			return true
		}
	}
	return false
}
