package convert

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bearerguard/bearerguard/api/policy"
)

// reader reads one entry of an AuthorizationPolicy's rules. For a deny rule what comes out fits more than the source does, for an allow
// rule less.
type reader struct {
	group *group
	deny  bool
}

// rule returns alternatives, one of which has to hold. None: no request fits.
func (r *reader) rule(n *node) []part {
	out := []part{{}}
	if !n.is(yaml.MappingNode) {
		return r.broken(n, "is no object")
	}
	for _, alternatives := range [][]part{
		r.alternatives(n, "from", "source", r.source), r.alternatives(n, "to", "operation", r.operation), r.conditions(n.field("when")),
	} {
		out = r.product(n, out, alternatives)
	}
	if n.unknown() {
		n.rest()
		return r.broken(n, "has fields that are not known")
	}
	return r.seen(n, out)
}

// seen has allow rules that say whose token it must not be ask for a token, if pods may take some that the rule's policy does not trust: it would
// take them for none.
func (r *reader) seen(n *node, parts []part) []part {
	if r.deny || !r.group.foreign {
		return parts
	}
	for i := range parts {
		if p := &parts[i]; len(p.nots) > 0 && !p.asks {
			p.asks = true
			n.note(LeftOut, "lets in requests without a token too, and these are not let in: some of the pods take tokens of a RequestAuthentication that does not select all of them")
		}
	}
	return parts
}

// broken is what becomes of something that cannot be read: a deny rule without conditions, or no allow rule.
func (r *reader) broken(n *node, why string) []part {
	if r.deny {
		n.note(Stricter, "%s, so it holds for every request", why)
		return []part{{}}
	}
	n.note(LeftOut, "%s", why)
	return nil
}

// product joins each alternative with each.
func (r *reader) product(n *node, a, b []part) (out []part) {
	const most = 512
	for _, p := range a {
		for _, q := range b {
			both, ok, lost := p.both(q)
			switch {
			case !ok:
				continue
			case lost && !r.deny:
				n.note(LeftOut, "has two conditions on the same header, which one rule cannot have")
				continue
			case lost:
				n.note(Stricter, "has two conditions on the same header, of which the first counts")
			}
			if out = append(out, both); len(out) > most {
				return r.broken(n, "has too many alternatives")
			}
		}
	}
	return out
}

// alternatives reads from or to.
func (r *reader) alternatives(n *node, list, member string, read func(*node) []part) (out []part) {
	given := n.field(list)
	if given == nil {
		return []part{{}}
	}
	items := given.items()
	if len(items) == 0 {
		return r.broken(given, "is empty or no list")
	}
	for _, item := range items {
		inner := item.field(member)
		if inner == nil || item.unknown() {
			item.rest()
			out = append(out, r.broken(item, "has no "+member+", or more than that")...)
			continue
		}
		parts := read(inner)
		if inner.unknown() {
			inner.rest()
			parts = r.broken(inner, "has fields that are not known")
		}
		out = append(out, parts...)
	}
	return out
}

// entry is a list of values, or of those that are not to fit.
type entry struct {
	node *node
	not  bool
}

// entries are the list and its opposite that are given.
func entries(n *node, name, not string) (out []entry) {
	if f := n.field(name); f != nil {
		out = append(out, entry{f, false})
	}
	if f := n.field(not); f != nil {
		out = append(out, entry{f, true})
	}
	return out
}

// texts are the values of a list, which is not empty and whose values are not.
func (r *reader) texts(n *node) (out []string, ok bool) {
	for _, item := range n.items() {
		if !item.is(yaml.ScalarNode) || item.text() == "" {
			return nil, false
		}
		out = append(out, item.text())
	}
	return out, len(out) > 0
}

// each converts a list value by value. convert gets whether it may say more than the value does. If a value cannot be said, the list says
// so much less or more as is safe.
func each[T any](r *reader, e entry, convert func(text string, over bool) ([]T, error)) (out []T, always, never bool) {
	over := r.deny != e.not // the list may fit more than it does
	failed := false
	for _, item := range e.node.items() {
		got, err := convert(item.text(), over)
		switch {
		case errors.Is(err, errNever):
			item.note(Differs, "%s, so it is not needed", err)
		case err != nil && over:
			failed = true
			item.note(Stricter, "%s; the condition is left out", err)
		case err != nil:
			item.note(effectOf(r.deny), "%s", err)
		default:
			out = append(out, got...)
		}
	}
	switch {
	case failed:
		return nil, !e.not, e.not // a list that may be any: fits always; as an opposite, never
	case len(out) == 0:
		return nil, e.not, !e.not
	}
	return out, false, false
}

func effectOf(deny bool) Effect {
	if deny {
		return Stricter
	}
	return LeftOut
}

// list makes a condition of a list; set writes what was converted into a part.
func list[T any](r *reader, e entry, convert func(text string, over bool) ([]T, error), set func(p *part, values []T)) []part {
	if _, ok := r.texts(e.node); !ok {
		return r.broken(e.node, "is no list of texts, or has an empty one")
	}
	values, always, never := each(r, e, convert)
	switch {
	case never:
		return nil
	case always:
		return []part{{}}
	}
	var p part
	set(&p, values)
	return []part{p}
}

// unsaid is a field that an AuthPolicy has nothing for.
func (r *reader) unsaid(e entry, why string) []part {
	if r.deny {
		e.node.note(Stricter, "%s; the condition is left out, so the rule refuses more", why)
		return []part{{}}
	}
	e.node.note(LeftOut, "%s; the rule is left out, so what it let in is refused", why)
	return nil
}

// merge makes rules of alternatives: those that differ in the match alone are one.
func merge(parts []part) (out []policy.Rule) {
	const most = 32
	type built struct {
		p    part
		rule *policy.Rule
	}
	var all []*built
	for _, p := range parts {
		match := p.match
		p.match = policy.Match{}
		i := slices.IndexFunc(all, func(b *built) bool {
			return reflect.DeepEqual(b.p, p) && len(b.rule.Match) < most
		})
		if i < 0 {
			all = append(all, &built{p, p.rule()})
			i = len(all) - 1
			if !reflect.DeepEqual(match, policy.Match{}) {
				all[i].rule.Match = []policy.Match{match}
			}
			continue
		}
		switch {
		case all[i].rule.Match == nil:
		case reflect.DeepEqual(match, policy.Match{}):
			all[i].rule.Match = nil
		default:
			all[i].rule.Match = append(all[i].rule.Match, match)
		}
	}
	for _, b := range all {
		out = append(out, *b.rule)
	}
	return out
}

// rule is the part's conditions, the match aside, as an allow rule. conditionsOf makes a deny rule of it.
func (p part) rule() *policy.Rule {
	c := policy.Conditions{Claims: p.claims, Scopes: p.scopes}
	if p.limited {
		c.Issuers = p.issuers
	}
	when := slices.Clone(p.when)
	for _, n := range p.nots {
		if p.asks && n.exact {
			c.Claims = append(slices.Clone(c.Claims), n.condition)
		} else {
			when = append(when, n.cel)
		}
	}
	for i := range when {
		if len(when) > 1 {
			when[i] = "(" + when[i] + ")"
		}
	}
	c.When = strings.Join(when, " && ")
	return &policy.Rule{Allow: &policy.Allow{Anonymous: !p.asks, Conditions: c}}
}

// deny makes a deny rule of an allow rule.
func deny(rules []policy.Rule) []policy.Rule {
	for i := range rules {
		c := rules[i].Allow.Conditions
		rules[i].Allow, rules[i].Deny = nil, &c
	}
	return rules
}

// ask makes sure that an allow rule that asks for a token says so.
func ask(rules []policy.Rule) []policy.Rule {
	for i := range rules {
		if a := rules[i].Allow; !a.Anonymous && a.Vague() || !a.Anonymous && !a.AsksToken() {
			a.Authenticated = true
		}
	}
	return rules
}
