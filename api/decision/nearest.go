package decision

// Nearest is the allow rule that came nearest to letting a request in, and what kept it from that. It has names of a policy,
// and no value of the request or its token.
type Nearest struct {
	// Policy is the ID of the policy, Rule the name of its rule. Both are empty where no rule is near, not even by the first
	// segment of its paths.
	Policy string `json:"policy,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// Failed is the field path of what failed, the first if there are several: "spec.rules[3].allow.claims[0]", or
	// "spec.rules[3].match[0].methods".
	Failed string `json:"failed,omitempty"`
	// Problem says why, as a ConditionReport does.
	Problem string `json:"problem"`
	// Issuers are those whose tokens the rule takes.
	Issuers IssuerSet `json:"-"`
}

// String returns what failed and why: "spec.rules[3].allow.scopes: the token lacks scopes".
func (n *Nearest) String() string {
	if n.Failed == "" {
		return n.Problem
	}
	return n.Failed + ": " + n.Problem
}

// Nearest returns the rule of the Enforce policies that came nearest to letting a request in which Decide refuses with NoRule,
// NoToken, InsufficientScope or InsufficientAuthentication; nil for another one. It costs as much as Explain and is for refusals
// that somebody reads.
//
// A rule that decided, but for scopes or the user's log-in, is it. Else, of the rules that match, it is the one of which the fewest conditions fail, then the one of which the most hold. If none
// matches, it is the one whose match gets furthest, field by field in the order of Mismatches; of paths, segment by segment.
// Among equals it is the first in the order of Explanation.Rules.
func (p *Program) Nearest(r *Request, s *Subject) *Nearest {
	if p == nil || !p.enforce {
		return nil
	}
	rec := &recorder{request: r, when: make([]*ConditionReport, len(p.rules))}
	d := p.decide(r, s, rec)
	if s == nil {
		s = p.nobody
	}
	return p.nearest(r, s, rec, &d)
}

// nearest is Nearest once a judge has been recorded.
func (p *Program) nearest(r *Request, s *Subject, rec *recorder, d *Decision) *Nearest {
	among := func(rule *rule) bool { return has(rec.found.matches, rule.number) }
	switch d.Reason {
	case InsufficientScope, InsufficientAuthentication:
		among = func(rule *rule) bool { return rule.policy == d.Policy && rule.name == d.Rule }
	case NoRule, NoToken:
	default:
		return nil
	}
	if n := p.nearestMatching(s, rec, among); n != nil {
		return n
	}
	return p.nearestMismatching(r)
}

// nearestMatching returns the rule of some that match of which the fewest conditions fail.
func (p *Program) nearestMatching(s *Subject, rec *recorder, among func(*rule) bool) (best *Nearest) {
	var fewest, most int
	for _, rule := range p.enforcedAllows() {
		if !among(rule) {
			continue
		}
		var failed *ConditionReport
		failures, held := 0, 0
		conditions := rule.conditionReports(s, rec)
		for i := range conditions {
			switch {
			case conditions[i].Holds:
				held++
			case failed == nil:
				failed = &conditions[i]
				failures++
			default:
				failures++
			}
		}
		if failed == nil { // it holds in one reading of the path, and not in another
			failed = &ConditionReport{Field: rule.path + ".match", Problem: "the path can be read in a way that does not fit"}
			failures = 1
		}
		if best == nil || failures < fewest || failures == fewest && held > most {
			best, fewest, most = rule.near(failed.Field, failed.Problem), failures, held
		}
	}
	return best
}

// nearestMismatching returns the rule of some that do not match whose match gets furthest.
func (p *Program) nearestMismatching(r *Request) *Nearest {
	var best *rule
	var furthest, at int
	for _, rule := range p.enforcedAllows() {
		for i, e := range rule.entries {
			if reach := e.reach(r); reach > furthest {
				best, furthest, at = rule, reach, i
			}
		}
	}
	if best == nil {
		return &Nearest{Problem: "no rule is for the path"}
	}
	return best.near(best.mismatch(at, r), "the match does not fit the request")
}

func (r *rule) near(failed, problem string) *Nearest {
	return &Nearest{Policy: r.policy, Rule: r.name, Failed: failed, Problem: problem, Issuers: r.issuers}
}

// enforcedAllows returns the allow rules of the Enforce policies.
func (p *Program) enforcedAllows() []*rule {
	var out []*rule
	for _, r := range p.rules {
		if r != nil && !r.audit && !r.deny {
			out = append(out, r)
		}
	}
	return out
}

// reach is how far an entry goes that does not fit a request: as many as segments of its path fit, or more where all of them
// do and the field that does not comes later.
func (e *entry) reach(r *Request) int {
	if !e.fitsPath(r) {
		furthest := 0
		for _, t := range e.paths {
			furthest = max(furthest, t.reach(r.Path))
		}
		return furthest
	}
	const paths = maxTemplateSegments + 1
	for i, field := range [...]string{"hosts", "methods", "ports", "remoteIPs", "notHosts", "notMethods", "notPorts", "notRemoteIPs", "notPaths", "headers", "mcp"} {
		if field == e.misfit(r) {
			return paths + i
		}
	}
	return paths // notPaths in another reading of the path
}

// reach returns how many segments of a path the template fits, from the first on, up to its **.
func (t *template) reach(path string) int {
	rest, more := path[1:], true
	var part string
	for i := range t.segments {
		if !more {
			return i
		}
		if part, rest, more = cutFirst(rest, more); !t.segments[i].fits(part) {
			return i
		}
	}
	return len(t.segments)
}
