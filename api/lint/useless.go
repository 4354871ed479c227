package lint

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// useless warns of allow rules that can let nothing in that another rule of the policy does not settle: a deny rule without
// conditions refuses all that they match, or an anonymous rule lets all of it in. It compares what is written, and keeps
// silent where that does not tell.
func (l *linter) useless(rules []policy.Rule) {
	for i := range rules {
		if rules[i].Allow == nil {
			continue
		}
		for j := range rules {
			if i == j || !covers(rules[j].Match, rules[i].Match) {
				continue
			}
			if refusesAll(&rules[j]) {
				l.add(fmt.Sprintf("spec.rules[%d]", i),
					fmt.Sprintf("can let no request in: deny rule %s refuses every request that it matches", rules[j].Name), "another match for one of the two")
				break
			}
			if admitsAll(&rules[j]) && !admitsAll(&rules[i]) {
				l.add(fmt.Sprintf("spec.rules[%d].allow", i),
					fmt.Sprintf("changes nothing: rule %s lets in every request that it matches, without a token", rules[j].Name),
					"a narrower match for "+rules[j].Name)
				break
			}
		}
	}
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
		wide.RemoteIPs != nil || wide.NotRemoteIPs != nil || wide.Headers != nil {
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
	w, n := strings.Split(wide[min(1, len(wide)):], "/"), strings.Split(narrow[min(1, len(narrow)):], "/")
	for i, part := range w {
		if deep(part) && i == len(w)-1 {
			return true
		}
		if i >= len(n) || deep(part) || deep(n[i]) || !segmentCovers(part, n[i]) {
			return false
		}
	}
	return len(w) == len(n)
}

func deep(part string) bool { return part == "**" || part == "{**}" }

func segmentCovers(wide, narrow string) bool {
	if wide == "*" || strings.HasPrefix(wide, "{") {
		return narrow != ""
	}
	return wide == narrow
}
