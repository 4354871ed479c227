package decision

// Route returns the path template of a rule by which it fits a request, as the policy has it: the first one, in the order of the
// policy. It is empty where the rule fits every path, or there is no such rule. It is for those who look on: it takes time.
func (p *Program) Route(policy, rule string, r *Request) string {
	if p == nil {
		return ""
	}
	for _, one := range p.rules {
		if one == nil || one.policy != policy || one.name != rule {
			continue
		}
		for _, e := range one.entries {
			if !e.fitsRest(r) {
				continue
			}
			for _, t := range e.paths {
				if t.fits(r.Path) {
					return t.raw
				}
			}
		}
	}
	return ""
}
