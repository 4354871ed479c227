package gate

import (
	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

// keyless returns the first Enforce policy of which no issuer has keys, although it has issuers; empty if there is none.
func keyless(b *bundle.Bundle) string {
	for _, p := range b.Policies {
		if p.Spec.Mode == policy.Audit || len(p.Keys) == 0 {
			continue
		}
		some := false
		for i, id := range p.Keys {
			_, keys := b.KeySets[id]
			_, credential := b.KeySets[p.IntrospectionOf(i)]
			some = some || (keys || id == "") && (credential || p.IntrospectionOf(i) == "")
		}
		if !some {
			return p.ID()
		}
	}
	return ""
}

// Keyless names an Enforce policy none of whose issuers has keys: every token that it could take is answered with
// KeysUnavailable. It is empty if there is none.
func (s *Snapshot) Keyless() string { return s.keyless }
