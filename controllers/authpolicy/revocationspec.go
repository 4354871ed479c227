package authpolicy

import (
	"encoding/json"
	"fmt"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
)

// revocationSpec is the spec of a TokenRevocation as it is kept: without its texts, which can be a hundred megabytes in a namespace.
type revocationSpec struct {
	entries revoked.List
	problem error // what is wrong with the spec; nil if nothing is
}

var _ json.Unmarshaler = (*revocationSpec)(nil)

// UnmarshalJSON never fails: one object that cannot be read must not keep all the others from being listed.
func (s *revocationSpec) UnmarshalJSON(raw []byte) error {
	var spec policy.Revocation
	*s = revocationSpec{}
	if err := decode(raw, &spec); err != nil {
		s.problem = fmt.Errorf("spec: %w", err)
		spec = readable(raw)
	} else {
		s.problem = spec.Validate("spec")
	}
	s.entries = revoked.ListOf(&spec)
	return nil
}

// readable returns what can be read of a revocation: one entry that cannot must not give back the tokens of the others.
func readable(raw json.RawMessage) (spec policy.Revocation) {
	var parts struct {
		Issuer  string            `json:"issuer"`
		Entries []json.RawMessage `json:"entries"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return spec
	}
	spec.Issuer = parts.Issuer
	for _, raw := range parts.Entries {
		var e policy.RevocationEntry
		if json.Unmarshal(raw, &e) == nil {
			spec.Entries = append(spec.Entries, e)
		}
	}
	return spec
}
