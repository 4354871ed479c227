package decision

// verdicts are all that a single Audit policy can say, made once so that saying it costs nothing.
type verdicts struct {
	rules    []AuditResult // by number: the rule denies, or allows
	butScope []AuditResult // by number: the rule allows but for scopes
	butLogin []AuditResult // by number: the rule allows but for how the user logged in; nil: no rule asks
	others   []AuditResult // no rule decided
}

// newVerdicts makes the verdicts of a group.
func newVerdicts(p *Program, group int) verdicts {
	v := verdicts{rules: make([]AuditResult, len(p.rules)), butScope: make([]AuditResult, len(p.rules))}
	if p.logins {
		v.butLogin = make([]AuditResult, len(p.rules))
	}
	for n, r := range p.rules {
		if r == nil || r.group != group {
			continue
		}
		reason := Allowed
		if r.deny {
			reason = DeniedByRule
		}
		v.rules[n] = p.auditResult(group, reason, n)
		v.butScope[n] = p.auditResult(group, InsufficientScope, n)
		if p.logins {
			v.butLogin[n] = p.auditResult(group, InsufficientAuthentication, n)
		}
	}
	for _, reason := range []Reason{NoRule, NoToken, UnknownIssuer} {
		v.others = append(v.others, p.auditResult(group, reason, none))
	}
	return v
}

// find returns a verdict as a list of its own, which nobody may change.
func (v *verdicts) find(reason Reason, rule int) []AuditResult {
	switch {
	case rule == none:
		for i := range v.others {
			if v.others[i].Reason == reason {
				return v.others[i : i+1 : i+1]
			}
		}
	case reason == InsufficientScope:
		return v.butScope[rule : rule+1 : rule+1]
	case reason == InsufficientAuthentication:
		return v.butLogin[rule : rule+1 : rule+1]
	}
	return v.rules[rule : rule+1 : rule+1]
}

// auditResult returns the verdict of a group, which is one Audit policy.
func (p *Program) auditResult(group int, reason Reason, rule int) AuditResult {
	out := AuditResult{Policy: p.groups[group].policy, Allowed: reason == Allowed, Reason: reason}
	if rule != none {
		out.Rule = p.rules[rule].name
	}
	return out
}
