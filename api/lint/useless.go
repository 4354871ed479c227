package lint

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// mostComparisons bounds the work of useless, which grows with the square of what a policy lists.
const mostComparisons = 500_000

// useless warns of allow rules that can let nothing in that another rule of the policy does not settle: a deny rule without
// conditions refuses all that they match, or an anonymous rule lets all of it in. It compares what is written, and keeps
// silent where that does not tell or is too much.
func (l *linter) useless(rules []policy.Rule) {
	var settling []int
	for j := range rules {
		if refusesAll(&rules[j]) || admitsAll(&rules[j]) {
			settling = append(settling, j)
		}
	}
	left := mostComparisons
	for i := range rules {
		if rules[i].Allow == nil {
			continue
		}
		for _, j := range settling {
			if left -= comparisons(rules[j].Match, rules[i].Match); left < 0 {
				return
			}
			if i != j && covers(rules[j].Match, rules[i].Match) && l.settled(rules, i, j) {
				break
			}
		}
	}
}

// settled warns of rule i, which rule j covers, if j leaves nothing to it.
func (l *linter) settled(rules []policy.Rule, i, j int) bool {
	switch name := rules[j].Name; {
	case refusesAll(&rules[j]):
		l.add(UselessRule, fmt.Sprintf("spec.rules[%d]", i),
			fmt.Sprintf("can let no request in: deny rule %s refuses every request that it matches", name), "another match for one of the two")
	case !admitsAll(&rules[i]):
		l.add(UselessRule, fmt.Sprintf("spec.rules[%d].allow", i),
			fmt.Sprintf("changes nothing: rule %s lets in every request that it matches, without a token", name), "a narrower match for "+name)
	default:
		return false
	}
	return true
}

// comparisons is how many texts covers compares at most.
func comparisons(wide, narrow []policy.Match) int {
	n := 1
	for i := range wide {
		for j := range narrow {
			w, v := &wide[i], &narrow[j]
			n += 1 + len(w.Hosts)*len(v.Hosts) + len(w.Paths)*len(v.Paths) + len(w.Methods)*len(v.Methods) + len(w.Ports)*len(v.Ports)
		}
	}
	return n
}

// refusesAll reports whether a rule refuses whatever it matches.
func refusesAll(r *policy.Rule) bool { return r.Deny != nil && reflect.ValueOf(*r.Deny).IsZero() }

// admitsAll reports whether a rule lets in whatever it matches, without a token and with a body of any size.
func admitsAll(r *policy.Rule) bool {
	return r.Allow != nil && r.Allow.Anonymous && r.Allow.MaxBody == nil && reflect.ValueOf(r.Allow.Conditions).IsZero()
}

// covers reports whether every request that fits one of the narrow entries surely fits one of the wide ones. No entries fit
// every request.
func covers(wide, narrow []policy.Match) bool {
	if len(wide) == 0 {
		return true
	}
	if len(narrow) == 0 {
		return false
	}
	for i := range narrow {
		if !slices.ContainsFunc(wide, func(w policy.Match) bool { return entryCovers(&w, &narrow[i]) }) {
			return false
		}
	}
	return true
}

// entryCovers compares two entries: of the wide one, only lists of what fits are understood.
func entryCovers(wide, narrow *policy.Match) bool {
	if wide.NotHosts != nil || wide.NotPaths != nil || wide.NotMethods != nil || wide.NotPorts != nil ||
		wide.RemoteIPs != nil || wide.NotRemoteIPs != nil || wide.Headers != nil || wide.MCP != nil {
		return false
	}
	return listCovers(wide.Hosts, narrow.Hosts, func(w, n string) bool { return strings.EqualFold(w, n) }) &&
		listCovers(wide.Paths, narrow.Paths, pathCovers) &&
		listCovers(wide.Methods, narrow.Methods, func(w, n string) bool { return w == n }) &&
		listCovers(wide.Ports, narrow.Ports, func(w, n int32) bool { return w == n })
}

func listCovers[T any](wide, narrow []T, one func(w, n T) bool) bool {
	if len(wide) == 0 {
		return true
	}
	return len(narrow) > 0 && !slices.ContainsFunc(narrow, func(n T) bool {
		return !slices.ContainsFunc(wide, func(w T) bool { return one(w, n) })
	})
}

// pathCovers reports whether a template fits every path that another one fits. It understands ** at the end of the wide
// one alone.
func pathCovers(wide, narrow string) bool {
	wide, narrow = wide[min(1, len(wide)):], narrow[min(1, len(narrow)):]
	for {
		w, wideRest, wideGoesOn := strings.Cut(wide, "/")
		n, narrowRest, narrowGoesOn := strings.Cut(narrow, "/")
		switch {
		case deep(w) && !wideGoesOn:
			return true
		case deep(w) || deep(n) || !segmentCovers(w, n):
			return false
		case !wideGoesOn:
			return !narrowGoesOn
		case !narrowGoesOn:
			return deep(wideRest)
		}
		wide, narrow = wideRest, narrowRest
	}
}

func deep(part string) bool { return part == "**" || part == "{**}" }

func segmentCovers(wide, narrow string) bool {
	if wide == "*" || strings.HasPrefix(wide, "{") {
		return narrow != ""
	}
	return wide == narrow
}
