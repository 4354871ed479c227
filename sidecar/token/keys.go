package token

import (
	"slices"

	"github.com/bearerguard/bearerguard/api/keyset"
)

// Keys describes the keys that verify, and those that decrypt; those of a set that is of no use to the issuer are none.
func (v *Verifier) Keys() []keyset.Description {
	return slices.Concat([]keyset.Description{}, v.keys.describe(keyset.Verify), v.decryption.describe(keyset.Decrypt))
}

func (c *choice) describe(use keyset.Use) []keyset.Description {
	if c == nil {
		return nil
	}
	out := make([]keyset.Description, 0, len(c.all))
	for _, k := range c.all {
		out = append(out, k.Describe(use))
	}
	return out
}
