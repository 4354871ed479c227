package keyset

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of a source.
const (
	// MaxBytes is the largest source that is read, in bytes.
	MaxBytes = 1 << 20
	// MaxKeys is how many keys of a source are kept: the first ones that can be used.
	MaxKeys = 500
	// MinSecret is the shortest HMAC secret, in bytes: the hash length of HS256 (RFC 7518 section 3.2).
	MinSecret = 32
	// MaxSecret is the longest raw secret, in bytes.
	MaxSecret = 64 << 10
	// maxNotes is how many notes are kept of a source.
	maxNotes = 100
)

// Set is an immutable set of vetted keys. It is safe for concurrent use and never prints key material.
type Set struct {
	keys  []Key
	notes []string
}

// Keys returns the keys in canonical order. The slice is shared: do not change it.
func (s *Set) Keys() []Key { return s.keys }

// Len returns the number of keys.
func (s *Set) Len() int { return len(s.keys) }

// Notes says what else there is to know of the source: each key that was left out, by kid, thumbprint or position, and why;
// a secret that ends in a line break.
func (s *Set) Notes() []string { return s.notes }

// String says how many keys there are.
func (s *Set) String() string { return fmt.Sprintf("%d keys", len(s.keys)) }

// collector gathers keys and what there is to say of a source.
type collector struct {
	keys     []Key
	problems []string // of keys that are left out
	dropped  int      // problems beyond maxNotes
	notes    []string // of other things
}

// add takes a key, or the reason for leaving it out. name is how the key is called in a problem.
func (c *collector) add(name string, k Key, err error) {
	switch {
	case err == nil:
		c.keys = append(c.keys, k)
	case len(c.problems) == maxNotes:
		c.dropped++
	default:
		c.problems = append(c.problems, name+": "+err.Error())
	}
}

// note says something that costs no key.
func (c *collector) note(text string) {
	if len(c.notes) < maxNotes {
		c.notes = append(c.notes, text)
	}
}

// full reports whether there are as many keys as are kept, counting those that are still to be added.
func (c *collector) full(more int) bool { return len(c.keys)+more >= MaxKeys }

// secret takes the source as it is, every byte of it.
func (c *collector) secret(data []byte, use Use) error {
	if len(data) > MaxSecret {
		return fmt.Errorf("has %d bytes; a raw secret has at most %d", len(data), MaxSecret)
	}
	if use != Decrypt && len(data) < MinSecret {
		return fmt.Errorf("is neither a JWK Set nor PEM, and as an HMAC secret its %d bytes are too few; want at least %d",
			len(data), MinSecret)
	}
	broken := bytes.HasSuffix(data, []byte("\n"))
	k, err := symmetric(bytes.Clone(data), use)
	switch {
	case err != nil && broken:
		return fmt.Errorf("as a raw secret %w; it ends in a line break, which counts", err)
	case err != nil:
		return fmt.Errorf("as a raw secret %w", err)
	case broken:
		c.note("the secret ends in a line break, which is part of it; if that was not meant, write it with printf or echo -n")
	}
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		c.note("the secret begins with a byte order mark, which is part of it; if that was not meant, save it without")
	}
	c.add("raw secret", k, nil)
	return nil
}

// set drops keys that are there twice, sorts, and returns the set if any key is left.
func (c *collector) set() (*Set, error) {
	c.unique()
	if len(c.keys) == 0 {
		if len(c.problems) == 0 {
			return nil, errors.New("holds no keys")
		}
		return nil, fmt.Errorf("holds no usable key: %s", joinFew(c.problems, c.dropped))
	}
	sortKeys(c.keys)
	s := &Set{keys: c.keys, notes: c.notes}
	for _, p := range c.problems {
		s.notes = append(s.notes, "left out: "+p)
	}
	if c.dropped > 0 {
		s.notes = append(s.notes, fmt.Sprintf("left out: %d more", c.dropped))
	}
	if n := len(s.Canonical()); n > MaxBytes { // sidecars read that
		return nil, fmt.Errorf("has %d bytes as a JWK Set; at most %d are read", n, MaxBytes)
	}
	return s, nil
}

// joinFew joins the first problems, and counts the rest.
func joinFew(problems []string, more int) string {
	const few = 5
	if more += len(problems) - few; more <= 0 {
		return strings.Join(problems, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(problems[:few], "; "), more)
}

// unique drops keys that are there twice. Different keys may share a kid (RFC 7517 section 4.5 only says they SHOULD
// not, and some issuers have one kid for ever): each that fits a token's algorithm is tried.
func (c *collector) unique() {
	seen := map[string]bool{}
	c.keys = slices.DeleteFunc(c.keys, func(k Key) bool {
		text := string(k.canonical())
		before := seen[text]
		seen[text] = true
		return before
	})
}
