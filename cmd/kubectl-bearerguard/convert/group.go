package convert

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// group is the objects of a mesh that are about the same pods, and become one AuthPolicy.
type group struct {
	place
	mesh    *mesh
	node    *node // the first object
	issuers []issuer
	foreign bool // some of the pods take tokens of other issuers too
	access  []*access
	names   names
	forward *policy.Forward
}

// policies writes an AuthPolicy for each group, and more for what is to be recorded alone.
func (m *mesh) policies() (out []Policy, err error) {
	m.spread()
	groups := m.groups()
	taken := map[string]names{}
	for _, g := range groups {
		if taken[g.namespace] == nil {
			taken[g.namespace] = names{}
		}
		if err := g.trusts(); err != nil {
			return nil, err
		}
		all := []Policy{g.enforce(), g.audit(), g.dryRun()}
		base := taken[g.namespace].unique(g.name)
		for i, suffix := range []string{"", "-audit", "-dry-run"} {
			p := &all[i]
			if i > 0 && len(p.Spec.Rules) == 0 {
				continue
			}
			if len(p.Spec.Rules) > decision.MaxRules || len(p.Spec.Issuers) > 16 {
				return nil, g.node.refuse("makes a policy of %d rules and %d issuers; want at most %d and 16: convert it in pieces, or use fewer alternatives",
					len(p.Spec.Rules), len(p.Spec.Issuers), decision.MaxRules)
			}
			p.Metadata = Metadata{base, g.namespace}
			if suffix != "" {
				p.Metadata.Name = taken[g.namespace].unique(base + suffix)
			}
			if len(g.labels) > 0 {
				p.Spec.Selector.MatchLabels = g.labels
			}
			out = append(out, *p)
		}
	}
	return out, nil
}

// groups finds the groups, in the order of the files.
func (m *mesh) groups() (out []*group) {
	byKey := map[string]*group{}
	find := func(p place, n *node) *group {
		g := byKey[p.key()]
		if g == nil {
			g = &group{place: p, mesh: m, node: n, names: names{}}
			g.gateway = false
			byKey[p.key()] = g
			out = append(out, g)
		}
		return g
	}
	for _, a := range m.access {
		g := find(a.place, a.node)
		g.access = append(g.access, a)
	}
	for _, t := range m.trust {
		find(t.place, t.node)
	}
	return out
}

// trusts finds whose tokens the group's pods take: those of RequestAuthentications that select all of them.
func (g *group) trusts() error {
	used := names{}
	for _, t := range g.mesh.trust {
		switch {
		case t.covers(g.place):
			for _, rule := range t.rules {
				if is, ok := readIssuer(rule, used); ok {
					g.issuers = append(g.issuers, is)
				}
			}
		case t.meets(g.place) && len(g.access) > 0:
			g.foreign = true
			t.node.note(LeftOut, "does not select all pods that %s does, so its tokens count for no rule of that", g.node.object)
		}
	}
	return g.forwards()
}

// open reports whether Istio lets in what is not denied: no pod of the group can have an ALLOW policy.
func (g *group) open() bool {
	for _, a := range g.mesh.access {
		if a.action == actionAllow && !a.dryRun && (a.meets(g.place) || a.gateway && a.namespace == g.namespace) {
			return false
		}
	}
	return true
}

// spec begins a policy.
func (g *group) spec() (s policy.Spec) {
	for _, is := range g.issuers {
		s.Issuers = append(s.Issuers, is.spec)
	}
	return s
}

// enforce is the policy that decides.
func (g *group) enforce() (p Policy) {
	p.Spec.Spec = g.spec()
	p.Spec.Forward = g.forward
	for _, a := range g.access {
		if a.dryRun {
			continue
		}
		switch a.action {
		case actionAllow:
			p.Spec.Rules = append(p.Spec.Rules, g.rules(a, false)...)
		case actionDeny:
			p.Spec.Rules = append(p.Spec.Rules, g.rules(a, true)...)
		case actionCustom:
			a.node.note(Stricter, "an external authorizer decides there; what it would be asked about is refused here. Put its conditions into rules, and take the deny rule away")
			p.Spec.Rules = append(p.Spec.Rules, g.rules(a, true)...)
		case actionAudit:
		}
	}
	if g.open() {
		g.node.note(Differs, "no ALLOW policy selects these pods, so Istio lets in what is not denied, without a token too; the rule %q does the same: take it away once rules say who is let in", "all-else")
		p.Spec.Rules = append(p.Spec.Rules, policy.Rule{Name: g.names.unique("all-else"), Allow: &policy.Allow{Anonymous: true}})
	}
	return p
}

// audit is the policy that records what AUDIT policies mark: by refusing it, which in mode Audit is recorded alone.
func (g *group) audit() (p Policy) {
	p.Spec.Spec = g.spec()
	p.Spec.Mode = policy.Audit
	used := g.names
	g.names = names{}
	for _, a := range g.access {
		if a.action == actionAudit {
			a.node.note(Differs, "its requests are recorded as what a policy in mode Audit would have refused; there is no logging plugin")
			p.Spec.Rules = append(p.Spec.Rules, g.rules(a, true)...)
		}
	}
	if len(p.Spec.Rules) > 0 {
		p.Spec.Rules = append(p.Spec.Rules, policy.Rule{Name: g.names.unique("all-else"), Allow: &policy.Allow{Anonymous: true}})
	}
	g.names = used
	return p
}

// dryRun is the policy that records what dry-run policies would do.
func (g *group) dryRun() (p Policy) {
	p.Spec.Spec = g.spec()
	p.Spec.Mode = policy.Audit
	g.names = names{}
	allows := false
	for _, a := range g.access {
		if a.dryRun && a.action != actionAudit {
			allows = allows || a.action == actionAllow
			p.Spec.Rules = append(p.Spec.Rules, g.rules(a, a.action != actionAllow)...)
		}
	}
	if len(p.Spec.Rules) > 0 && !allows {
		p.Spec.Rules = append(p.Spec.Rules, policy.Rule{Name: g.names.unique("all-else"), Allow: &policy.Allow{Anonymous: true}})
	}
	return p
}

// rules writes the rules of one AuthorizationPolicy.
func (g *group) rules(a *access, isDeny bool) (out []policy.Rule) {
	for i, n := range a.rules {
		r := reader{group: g, deny: isDeny}
		base := fmt.Sprintf("%s-%d", a.name, i)
		if len(a.rules) == 1 {
			base = a.name
		}
		rules := ask(merge(r.rule(n)))
		if isDeny {
			rules = deny(rules)
		}
		for _, rule := range rules {
			if rule, ok := g.taken(rule, n, isDeny); ok {
				rule.Name = g.names.unique(base)
				out = append(out, rule)
			}
		}
	}
	return out
}

// taken holds a rule to what a sidecar takes. An allow rule that it does not take is left out, and conditions of such a deny rule are.
func (g *group) taken(r policy.Rule, n *node, deny bool) (policy.Rule, bool) {
	spec := g.spec()
	try := func() error {
		r.Name = "rule"
		spec.Rules = []policy.Rule{r}
		return compiles(spec)
	}
	err := try()
	if err == nil {
		return r, true
	}
	why := strings.ReplaceAll(err.Error(), "\n", "; ")
	if !deny {
		n.note(LeftOut, "an AuthPolicy does not take it: %s", why)
		return r, false
	}
	n.note(Stricter, "some of its conditions are left out, so it refuses more; an AuthPolicy does not take them: %s", why)
	r.Deny = &policy.Conditions{}
	if try() != nil {
		r.Match = nil
	}
	return r, true
}

// namedRule is taken, for a rule that has its name.
func (g *group) namedRule(r policy.Rule, n *node) (policy.Rule, bool) {
	name := r.Name
	r, ok := g.taken(r, n, r.Deny != nil)
	r.Name = name
	return r, ok
}

// spaces returns the claims that every issuer splits at spaces, and those that some split.
func (g *group) spaces() (all, some map[string]bool) {
	some = map[string]bool{"scope": true, "permission": true}
	all = maps.Clone(some)
	for _, is := range g.issuers {
		for _, name := range is.spaces {
			some[name] = true
		}
	}
	for name := range some {
		all[name] = all[name] || len(g.issuers) > 0 && !slices.ContainsFunc(g.issuers, func(is issuer) bool { return !slices.Contains(is.spaces, name) })
	}
	return all, some
}
