package decision

import (
	"errors"

	"github.com/bearerguard/bearerguard/api/policy"
)

// CheckKeys returns every problem of an issuer's keys and caSecretRef, joined, below the field path at; nil if there is none. It is what
// Compile says of them.
func CheckKeys(at string, spec *policy.Issuer) error {
	c := compiler{program: &Program{routes: &node{}}}
	c.checkKeys(at, spec)
	return errors.Join(c.problems...)
}
