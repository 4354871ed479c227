package gate

import "github.com/bearerguard/bearerguard/api/keyset"

// MostKeysShown is how many keys of an issuer are described.
const MostKeysShown = 100

// IssuerKeys is what may be shown of the keys of an issuer: no key, and nothing that would help to guess one.
type IssuerKeys struct {
	// Policy is the ID of the issuer's policy, Issuer its name there.
	Policy string `json:"policy"`
	Issuer string `json:"issuer"`
	// Source is the id of the key set, if it is fetched.
	Source string `json:"-"`
	// Keys are in force: the first MostKeysShown. None: tokens of the issuer get 503.
	Keys []keyset.Description `json:"keys"`
	// More is how many there are besides.
	More int `json:"more,omitempty"`
}

// Keys describes the keys in force of each issuer, those of the Enforce policies first.
func (s *Snapshot) Keys() []IssuerKeys {
	out := make([]IssuerKeys, 0, s.issuers)
	for _, sd := range []*side{&s.enforce, &s.audit} {
		for i := range sd.issuers {
			is := &sd.issuers[i]
			shown := IssuerKeys{Policy: s.program.Issuers()[is.bit].Policy, Issuer: is.name, Source: is.source, Keys: is.verifier.Keys()}
			if n := len(shown.Keys); n > MostKeysShown {
				shown.Keys, shown.More = shown.Keys[:MostKeysShown], n-MostKeysShown
			}
			out = append(out, shown)
		}
	}
	return out
}
