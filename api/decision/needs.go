package decision

// Needs returns the scopes that a token needs for a request that has none, or whose own is not taken: those of the allow rule
// of the Enforce policies that matches the request and asks for the least besides, then for the fewest scopes, then comes first
// by name. They are nil where that rule asks for none, or none matches. The caller must not change the slice.
func (p *Program) Needs(r *Request) []string {
	if p == nil || !p.enforce || r.Path == "" || r.Path[0] != '/' {
		return nil
	}
	j := judge{program: p, request: r, subject: p.nobody, matching: true}
	found := j.findAll(p.routes)
	var best *rule
	for n, rule := range p.rules {
		if rule == nil || rule.audit || rule.deny || !has(found.matches, n) {
			continue
		}
		if best == nil || rule.others() < best.others() || rule.others() == best.others() && len(rule.scopes) < len(best.scopes) {
			best = rule
		}
	}
	if best == nil {
		return nil
	}
	return best.scopes
}

// others is how many kinds of conditions on a token the rule has besides scopes.
func (r *rule) others() (n int) {
	for _, asks := range [...]bool{r.narrowed, r.subjects != nil, r.accounts != nil, r.workloads != nil, r.actors != nil, r.claims != nil, r.when != nil, r.login != nil} {
		if asks {
			n++
		}
	}
	return n
}
