package lint

import (
	"slices"

	"github.com/bearerguard/bearerguard/api/policy"
)

// scopes warns of a rule that asks for scopes of issuers that grant none. What other issuers grant is not known here.
func (l *linter) scopes(at string, allow *policy.Allow, issuers []policy.Issuer) {
	if allow.Scopes == nil {
		return
	}
	for i := range issuers {
		taken := allow.Issuers == nil || slices.Contains(allow.Issuers, issuers[i].Name)
		if k := &issuers[i].Keys; taken && k.Kubernetes == nil && k.SPIFFE == nil {
			return
		}
	}
	if len(issuers) > 0 {
		l.add(UnmetCondition, at+".scopes", "lets no token in: tokens of service accounts and workloads have no scopes", "serviceAccounts, subjects or spiffeIDs")
	}
}
