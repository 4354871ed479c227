package authpolicy

import (
	"crypto/sha256"
	"encoding/json"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

// verdicts remembers, for one namespace, which policies compile, from one compilation to the next: most are what they
// were, and checking CEL costs more than all the rest. It is not safe for concurrent use.
type verdicts struct {
	last, now map[[sha256.Size]byte]error
}

// begin starts a compilation; what the one before last asked and the last did not is forgotten.
func (v *verdicts) begin() {
	v.last, v.now = v.now, map[[sha256.Size]byte]error{}
}

// check is compile.Check, remembered by content.
func (v *verdicts) check(policies []compile.Policy) error {
	h := sha256.New()
	e := json.NewEncoder(h)
	for _, p := range policies {
		if err := e.Encode([]any{p.Namespace, p.Name, p.Spec}); err != nil {
			return compile.Check(policies)
		}
	}
	key := [sha256.Size]byte(h.Sum(nil))
	err, ok := v.now[key]
	if !ok {
		err, ok = v.last[key]
	}
	if !ok {
		err = compile.Check(policies)
	}
	v.now[key] = err
	return err
}
