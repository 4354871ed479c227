package token

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
)

// choice is a key set made ready for choosing from it.
type choice struct {
	all      []keyset.Key
	byID     map[string][]keyset.Key
	nameless []keyset.Key
	dearest  time.Duration // that one of them may take with a signature
	prepared map[any]any   // *rsa.PublicKey and *ecdsa.PublicKey -> what pkcs1 and es256 want; others go as they are
}

func newChoice(s *keyset.Set) *choice {
	if s == nil {
		return nil
	}
	c := &choice{all: s.Keys(), byID: map[string][]keyset.Key{}, prepared: map[any]any{}}
	c.dearest = dearest(c.all)
	for _, k := range c.all {
		switch public := k.Raw().(type) {
		case *rsa.PublicKey:
			if p := newRSAKey(public); p != nil {
				c.prepared[public] = p
			}
		case *ecdsa.PublicKey:
			if p := newP256Key(public, &sharedP256Tables); p != nil {
				c.prepared[public] = p
			}
		}
		if k.ID == "" {
			c.nameless = append(c.nameless, k)
		} else {
			c.byID[k.ID] = append(c.byID[k.ID], k)
		}
	}
	return c
}

// material returns a key of this choice as the scheme wants it.
func (c *choice) material(k keyset.Key, s scheme) any {
	switch s.verifier.(type) {
	case pkcs1, es256:
		switch k.Raw().(type) {
		case *rsa.PublicKey, *ecdsa.PublicKey:
			if p, ok := c.prepared[k.Raw()]; ok {
				return p
			}
		}
	}
	return k.Raw()
}

// pick returns the keys to try. A kid picks the keys that have it; where none has, the keys without a kid (PEM has
// none). Without a kid in the token, every key that fits may be meant. A kid whose key does not fit the algorithm is
// AlgorithmNotAllowed, and not UnknownKey: fetching the key set again would not help.
func (c *choice) pick(kid, alg string) ([]keyset.Key, decision.Refusal) {
	from := c.all
	if kid != "" {
		named, ok := c.byID[kid]
		if from = named; !ok {
			from = c.nameless
		}
		if len(from) == 0 {
			return nil, decision.Refusal{Reason: decision.UnknownKey, Cause: keying{problem: "no key has the token's kid", kid: kid, keys: c.all}}
		}
	}
	if len(from) == 1 && from[0].Fits(alg) {
		return from, decision.Refusal{}
	}
	var fit []keyset.Key
	for _, k := range from {
		if k.Fits(alg) && len(fit) < MaxTries {
			fit = append(fit, k)
		}
	}
	misfit := keying{problem: "no key fits alg " + alg, kid: kid, keys: c.all}
	switch {
	case len(fit) > 0:
		return fit, decision.Refusal{}
	case kid != "" && len(c.byID[kid]) > 0:
		misfit.problem, misfit.keys = "the key that kid names does not fit alg "+alg, from
		return nil, decision.Refusal{Reason: decision.AlgorithmNotAllowed, Cause: misfit}
	case kid != "":
		misfit.problem = "no key has the token's kid, and none without a kid fits alg " + alg
	}
	return nil, decision.Refusal{Reason: decision.UnknownKey, Cause: misfit}
}
