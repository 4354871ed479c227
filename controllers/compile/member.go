package compile

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// members are the policies of a namespace as they take part in it.
type members struct {
	check         func([]Policy) error
	of            map[*Policy]*member
	byAge, byName []*member
	serial        uint64 // of the newest member
	revision      uint64 // changes when members do
}

// member is a policy and what is used of it. Another use makes another member.
type member struct {
	policy *Policy
	used   Policy // the policy, or its stand-in
	cost   Cost
	serial uint64 // tells it from all others
	// decidable says that it is known of every pod whether it is selected. Else all are.
	decidable bool
	size      int     // of the encoded spec that is used, in bytes
	fault     error   // what is wrong with the policy by itself
	over      error   // why the namespace has no room for it
	instead   *Policy // the stand-in of what is used; nil: not made yet
	light     int     // of the encoded spec of the stand-in, in bytes
	place     int     // in members.byAge
}

// admit takes in policies, and returns which members went and came. Those that are known are not looked at again.
func (m *members) admit(s Snapshot) (gone, came []*member) {
	if m.same(s.Policies) {
		return nil, nil
	}
	if m.check = s.Check; m.check == nil {
		m.check = Check
	}
	was := m.of
	m.of = make(map[*Policy]*member, len(s.Policies))
	for _, p := range s.Policies {
		if m.of[p] = was[p]; m.of[p] == nil {
			m.of[p] = &member{policy: p, cost: CostOf(s.Namespace, p.Spec)}
			came = append(came, m.of[p])
		}
	}
	left := func(x *member) bool { return m.of[x.policy] == nil }
	m.byAge = append(slices.DeleteFunc(m.byAge, left), came...) // nearly sorted is sorted fast
	slices.SortFunc(m.byAge, func(a, b *member) int { return byAge(a.policy, b.policy) })
	m.spend()
	m.byName = slices.Clone(m.byAge)
	slices.SortFunc(m.byName, func(a, b *member) int { return strings.Compare(a.policy.Name, b.policy.Name) })
	m.revision++
	return difference(was, m.of), difference(m.of, was)
}

// difference returns the members of a that b has not.
func difference(a, b map[*Policy]*member) (out []*member) {
	for p, x := range a {
		if b[p] != x {
			out = append(out, x)
		}
	}
	return out
}

// same reports whether the policies, each of which comes once, are those that are known.
func (m *members) same(policies []*Policy) bool {
	if len(policies) != len(m.of) {
		return false
	}
	return !slices.ContainsFunc(policies, func(p *Policy) bool { return m.of[p] == nil })
}

// spend gives policies what the namespace has room for, the oldest first, and says what is used of each.
func (m *members) spend() {
	var b budget
	for i, x := range m.byAge {
		over := b.over(x.cost)
		if over == nil {
			b.take(x.cost)
		}
		if x.serial == 0 || (over == nil) != (x.over == nil) {
			x = m.use(x.policy, x.cost, over)
			m.byAge[i], m.of[x.policy] = x, x
		}
		x.over, x.place = over, i // the number of policies in the error may be another one
	}
}

// use makes a member of a policy. Where there is no room for it, it is not looked at.
func (m *members) use(p *Policy, c Cost, over error) *member {
	m.serial++
	x := &member{policy: p, used: *p, cost: c, serial: m.serial, over: over, decidable: p.Selector.Decidable()}
	if over == nil {
		x.fault = m.problem(p)
	}
	if x.problem() != nil {
		x.used = standIn(*p, m.check)
	}
	x.size = sizeOf(x.used.Spec)
	return x
}

// sizeOf is the length of an encoded spec. If it cannot be encoded it is 0, and to encode its bundle fails and says so.
func sizeOf(s policy.Spec) int {
	spec, err := json.Marshal(s)
	if err != nil {
		return 0
	}
	return len(spec)
}

func (m *members) problem(p *Policy) error {
	if p.Unreadable != nil {
		return p.Unreadable
	}
	if err := p.Selector.Validate("spec.selector"); err != nil {
		return err
	}
	return m.check([]Policy{*p})
}

func (x *member) problem() error { return cmp.Or(x.over, x.fault) }

// standIn is what stands in for what is used, where that has no room.
func (x *member) standIn(check func([]Policy) error) Policy {
	if x.instead == nil {
		p := standIn(x.used, check)
		x.instead, x.light = &p, sizeOf(p.Spec)
	}
	return *x.instead
}

// selects is true for a policy whose selector could not be read: whom it guards cannot be known, so it guards everybody.
func (x *member) selects(labels map[string]string) bool {
	return !x.decidable || x.policy.Selector.Matches(labels)
}
