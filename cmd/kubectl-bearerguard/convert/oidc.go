package convert

import (
	"fmt"

	"github.com/bearerguard/bearerguard/api/policy"
)

// userClaim is where a name of a user or a group comes from: a claim, and what is put before it.
type userClaim struct {
	claim, prefix string
	path          []string
}

// text says that a claim is a text that is not empty, in CEL.
func (u userClaim) text() string {
	at := celPath(u.path)
	return fmt.Sprintf(`%[2]s && type(%[1]s) == string && %[1]s != ""`, at, claimThere(u.path))
}

// nameless is the deny rule that Kubernetes' reader of tokens implies: a user has a name, which is a text, and an email that is not
// verified is no name.
func nameless(issuer string, user userClaim, used names) []policy.Rule {
	out := []policy.Rule{{Name: used.unique(issuer + "-no-user-name"), Deny: &policy.Conditions{Issuers: []string{issuer}, When: "!(" + user.text() + ")"}}}
	if user.claim == "email" {
		out = append(out, policy.Rule{Name: used.unique(issuer + "-email-not-verified"), Deny: &policy.Conditions{Issuers: []string{issuer},
			When: `"email_verified" in claims && claims.email_verified != true`}})
	}
	return out
}

// oddGroups is the deny rule for tokens whose groups are neither a text nor texts, which Kubernetes does not take.
func oddGroups(issuer string, groups userClaim, used names) policy.Rule {
	at := celPath(groups.path)
	return policy.Rule{Name: used.unique(issuer + "-odd-groups"), Deny: &policy.Conditions{Issuers: []string{issuer},
		When: fmt.Sprintf("%[2]s && type(%[1]s) != string && !(type(%[1]s) == list && %[1]s.all(g, type(g) == string))", at, claimThere(groups.path))}}
}

// unset is a header that is removed from what clients send, and never set: no token has the claim.
func unset(name string) policy.IdentityHeader {
	return policy.IdentityHeader{Name: name, Claim: `["bearerguard.dev/never"]`}
}

// claimText is a condition on a claim that is one of some texts, or a list with one of them. Numbers do not count.
func claimText(path []string, texts []string) (claims []policy.ClaimCondition, when string) {
	var values []value
	numeric := false
	for _, t := range texts {
		v := value{exact, t}
		values, numeric = append(values, v), numeric || v.numeric()
	}
	if numeric {
		return nil, claimIs(path, values, false)
	}
	return []policy.ClaimCondition{{Claim: claimPath(path), AnyOf: union(nil, texts)}}, ""
}
