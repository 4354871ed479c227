package suggest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/ruleset"
)

// scopes are those of a request's token that a rule may ask for.
func (m *maker) scopes(c *call) []string {
	return slices.DeleteFunc(strings.Fields(c.scopes), func(s string) bool { return slices.Contains(m.options.IgnoredScopes, s) })
}

// frequent leaves out calls whose tokens have scopes that were seen too seldom there, and that the rules for the others do not let in: who has any
// token would otherwise take scopes out of rules by a single request.
func (m *maker) frequent(what string, calls []call) []call {
	kind := func(c *call) string { return c.issuer + "\n" + strings.Join(m.scopes(c), " ") }
	count := map[string]int{}
	for _, c := range calls {
		count[kind(&c)] += m.seen.calls[c]
	}
	often := slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return count[kind(&c)] < m.options.Least })
	if len(often) == 0 || len(often) == len(calls) {
		return calls // each has scopes of its own, so none is the exception
	}
	who := m.who(often)
	return slices.DeleteFunc(slices.Clone(calls), func(c call) bool {
		if count[kind(&c)] >= m.options.Least || slices.ContainsFunc(who, func(w ruleset.Who) bool {
			return (len(w.Issuers) == 0 || slices.Contains(w.Issuers, c.issuer)) && within(w.Scopes, m.scopes(&c))
		}) {
			return false
		}
		m.result.Left[fmt.Sprintf("%s with the scopes [%s], since it was seen too seldom", what, strings.Join(m.scopes(&c), " "))] += m.seen.calls[c]
		return true
	})
}

// loose notes scopes that nine of ten requests had, and that the rule does not ask for.
func (m *maker) loose(what string, calls []call, who []ruleset.Who) {
	total, have := map[string]int{}, map[string]map[string]int{}
	for _, c := range calls {
		total[c.issuer] += m.seen.calls[c]
		if have[c.issuer] == nil {
			have[c.issuer] = map[string]int{}
		}
		for _, s := range m.scopes(&c) {
			have[c.issuer][s] += m.seen.calls[c]
		}
	}
	for _, issuer := range slices.Sorted(maps.Keys(total)) {
		asked := slices.DeleteFunc(slices.Clone(who), func(w ruleset.Who) bool { return len(w.Issuers) > 0 && !slices.Contains(w.Issuers, issuer) })
		if len(asked) != 1 {
			continue // a rule for each list of scopes says so itself
		}
		for _, s := range slices.Sorted(maps.Keys(have[issuer])) {
			if n := have[issuer][s]; n < total[issuer] && n*10 >= total[issuer]*9 && !slices.Contains(asked[0].Scopes, s) {
				m.result.Loose = append(m.result.Loose, fmt.Sprintf("%s: %d of %d requests had tokens without the scope %s, so the rule does not ask for it; --least %d leaves out what was seen so seldom",
					what, total[issuer]-n, total[issuer], s, total[issuer]-n+1))
			}
		}
	}
}

// who returns whom to let in: for each issuer the scopes that all of its tokens have; where they have none in common, the lists of
// scopes that have no other within them; and any token where one has none at all.
func (m *maker) who(calls []call) (out []ruleset.Who) {
	by := map[string][][]string{}
	for _, c := range calls {
		by[c.issuer] = append(by[c.issuer], m.scopes(&c))
	}
	for _, issuer := range slices.Sorted(maps.Keys(by)) {
		var issuers []string
		if issuer != "" && len(m.spec.Issuers) > 1 {
			issuers = []string{issuer}
		}
		for _, scopes := range m.alternatives(by[issuer]) {
			out = append(out, ruleset.Who{Issuers: issuers, Scopes: scopes})
		}
	}
	return out
}

const mostScopes = 64 // of a rule

func (m *maker) alternatives(all [][]string) [][]string {
	common := slices.Clone(all[0])
	for _, scopes := range all[1:] {
		common = slices.DeleteFunc(common, func(s string) bool { return !slices.Contains(scopes, s) })
	}
	if len(common) > 0 {
		return [][]string{common[:min(mostScopes, len(common))]}
	}
	slices.SortFunc(all, func(a, b []string) int { return cmp.Or(len(a)-len(b), slices.Compare(a, b)) })
	var least [][]string
	for _, scopes := range all {
		if !slices.ContainsFunc(least, func(some []string) bool { return within(some, scopes) }) {
			least = append(least, scopes)
		}
	}
	if len(least) > m.options.Alternatives || len(least[0]) == 0 {
		return [][]string{nil}
	}
	return least
}

// within reports whether all of some are among all.
func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}
