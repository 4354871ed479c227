package decision

// ignored is what a Program has about rules that ignore the token.
type ignored struct {
	rules   []uint64 // that ignore it
	routes  *node    // of those of Enforce policies alone; nil: there are none
	denyAsk bool     // a deny rule of an Enforce policy asks about the token
}

// newIgnored returns nil if no rule ignores the token.
func newIgnored(p *Program) *ignored {
	i := &ignored{rules: make([]uint64, len(p.deny))}
	some := false
	for n, r := range p.rules {
		switch {
		case r == nil:
		case r.deny:
			i.denyAsk = i.denyAsk || !r.audit && r.asksToken()
		case r.ignores:
			some = true
			i.rules[n/64] |= 1 << (n % 64)
			if r.audit {
				continue
			}
			if i.routes == nil {
				i.routes = &node{}
			}
			for _, e := range r.entries {
				insertEntry(i.routes, r, e)
			}
		}
	}
	if !some {
		return nil
	}
	return i
}

// of returns the rules of a word that ignore the token.
func (i *ignored) of(word int) uint64 {
	if i == nil {
		return 0
	}
	return i.rules[word]
}

// IgnoresToken reports whether an allow rule of an Enforce policy fits the request that ignores its token: then no
// refusal may come of the token. The caller decides such a request without a Subject; but if DenyAsks, with the Subject of
// a valid token, so that nobody who is denied gets in by such a rule. It costs nothing where no rule ignores tokens.
func (p *Program) IgnoresToken(r *Request) bool {
	if p == nil || p.ignored == nil || p.ignored.routes == nil || r.Path == "" || r.Path[0] != '/' {
		return false
	}
	j := judge{program: p, request: r, subject: p.nobody}
	j.walk(p.ignored.routes)
	return j.of(0).ignores != none
}

// DenyAsks reports whether a deny rule of an Enforce policy has a condition on the token, and a rule ignores tokens.
func (p *Program) DenyAsks() bool { return p != nil && p.ignored != nil && p.ignored.denyAsk }

// AuditRefused returns what the Audit policies say of a request that is refused for a reason: that reason. Where it is
// the token that is refused and the request is given, a policy with a rule that fits and ignores the token says what it
// says of a request without one.
func (p *Program) AuditRefused(r *Request, no Refusal) []AuditResult {
	if p == nil {
		return nil
	}
	first := 0
	if p.enforce {
		first = 1
	}
	out := make([]AuditResult, 0, len(p.groups)-first)
	for _, g := range p.groups[first:] {
		out = append(out, AuditResult{Policy: g.policy, Reason: no.Reason, Cause: no.Cause})
	}
	if p.ignored == nil || r == nil {
		return out
	}
	j := judge{program: p, request: r, subject: p.nobody}
	j.walk(p.routes)
	for i := range out {
		if group := first + i; j.of(group).ignores != none {
			reason, rule := j.sum(group)
			out[i] = p.auditResult(group, reason, rule)
		}
	}
	return out
}
