package decision

// link numbers the rules, builds the route index and settles the verdicts for requests without a token.
func (c *compiler) link() {
	p := c.program
	if p.enforce {
		c.place(0, c.enforce)
	}
	for _, a := range c.audits {
		p.groups = append(p.groups, group{policy: a.policy, issuers: a.issuers})
		c.place(len(p.groups)-1, a.rules)
	}
	for _, r := range p.rules {
		if r == nil {
			continue
		}
		for _, e := range r.entries {
			insertEntry(p.routes, r, e)
		}
	}
	c.trustAccounts()
	c.trustWorkloads()
	c.linkLogins()
	p.limits = newLimits(p)
	p.ignored = newIgnored(p)
	p.calls = callRoutes(p.rules)
	if last := len(p.groups) - 1; len(c.audits) == 1 {
		p.audit = newVerdicts(p, last)
	}
	p.reads = newReads(p.rules)
	p.binding = newBinding(p.rules)
	nobody := p.settle(nil, 0, nil)
	nobody.bound = false
	p.nobody = &Subject{settled: &nobody}
}

// place numbers the rules of a group. Numbers start at a multiple of 64, so that no mask has rules of two groups.
func (c *compiler) place(group int, rules []*rule) {
	p := c.program
	for i, r := range rules {
		if i%64 == 0 {
			for len(p.rules)%64 != 0 {
				p.rules = append(p.rules, nil)
			}
			p.deny = append(p.deny, 0)
			p.owners = append(p.owners, group)
		}
		r.group, r.number = group, len(p.rules)
		p.rules = append(p.rules, r)
		if r.deny {
			p.deny[r.number/64] |= 1 << (r.number % 64)
		}
	}
}

func insertEntry(routes *node, r *rule, e *entry) {
	if e.paths == nil {
		routes.insert(route{rule: r, entry: e})
		return
	}
	for _, t := range e.paths {
		routes.insert(route{rule: r, entry: e, template: t})
	}
}

// newLimits returns the largest bodies of Enforce rules; nil if none has one.
func newLimits(p *Program) *limits {
	var l *limits
	for n, r := range p.rules {
		if r == nil || r.audit || r.maxBody == 0 {
			continue
		}
		if l == nil {
			l = &limits{limited: make([]uint64, len(p.deny)), bytes: make([]int64, len(p.rules))}
		}
		l.limited[n/64] |= 1 << (n % 64)
		l.bytes[n] = r.maxBody
	}
	return l
}
