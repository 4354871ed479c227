package lint

import (
	"slices"

	"github.com/bearerguard/bearerguard/api/policy"
)

// login warns of a rule that asks how a user logged in, of issuers whose tokens have no user.
func (l *linter) login(at string, allow *policy.Allow, issuers []policy.Issuer) {
	if allow.Authentication == nil {
		return
	}
	for i := range issuers {
		taken := allow.Issuers == nil || slices.Contains(allow.Issuers, issuers[i].Name)
		if k := &issuers[i].Keys; taken && k.Kubernetes == nil && k.SPIFFE == nil {
			return
		}
	}
	if len(issuers) > 0 {
		l.add(UnmetCondition, at+".authentication", "lets no token in: service accounts and workloads do not log in, so their tokens have neither acr nor auth_time",
			"an issuer whose users log in")
	}
}
