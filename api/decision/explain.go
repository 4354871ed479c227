package decision

import "fmt"

// Explanation is a Decision and what every rule of every policy had to do with it. It is meant to be shown, as JSON
// too. It holds no claim values.
type Explanation struct {
	Decision Decision `json:"decision"`
	// Nearest is what Program.Nearest returns.
	Nearest *Nearest     `json:"nearest,omitempty"`
	Rules   []RuleReport `json:"rules"`
}

// RuleReport says what one rule had to do with a decision.
type RuleReport struct {
	Policy string `json:"policy"`
	Rule   string `json:"rule"`
	Audit  bool   `json:"audit,omitempty"`
	// Effect is Allow or Deny.
	Effect string `json:"effect"`
	// Matches: the request's shape fits the rule's match.
	Matches bool `json:"matches"`
	// Fits: the rule matches and all its conditions hold.
	Fits bool `json:"fits"`
	// MaxBody is what an allow rule says of the body, in bytes.
	MaxBody int64 `json:"maxBody,omitempty"`
	// Mismatches has the first field of each match entry that does not fit, if none fits.
	Mismatches []string `json:"mismatches,omitempty"`
	// Conditions has every condition of the rule.
	Conditions []ConditionReport `json:"conditions,omitempty"`
}

// ConditionReport says how one condition turned out.
type ConditionReport struct {
	// Field is the field path of the condition: "spec.rules[3].allow.claims[0]".
	Field string `json:"field"`
	Holds bool   `json:"holds"`
	// Problem says why it does not hold.
	Problem string `json:"problem,omitempty"`
}

func newConditionReport(field string, holds bool, problem string) ConditionReport {
	if holds {
		problem = ""
	}
	return ConditionReport{field, holds, problem}
}

// recorder keeps what a judge comes across, by rule number.
type recorder struct {
	request *Request
	found   *found
	when    []*ConditionReport
}

// noteWhen takes down how a condition on the request turned out. A rule that matches in several ways holds in any.
func (rec *recorder) noteWhen(rule int, holds bool, problem string) {
	if w := rec.when[rule]; w != nil && w.Holds {
		return
	}
	c := newConditionReport("", holds, problem)
	rec.when[rule] = &c
}

// Explain judges a request exactly as Decide does, by the same code, and reports every rule, also those that no longer
// mattered.
func (p *Program) Explain(r *Request, s *Subject) Explanation {
	if p == nil || len(p.groups) == 0 {
		return Explanation{Decision: p.Decide(r, s)}
	}
	rec := &recorder{request: r, when: make([]*ConditionReport, len(p.rules))}
	e := Explanation{Decision: p.decide(r, s, rec)}
	if s == nil {
		s = p.nobody
	}
	if !s.of(p) || e.Decision.Reason == BadPath {
		return e
	}
	if p.enforce {
		e.Nearest = p.nearest(r, s, rec, &e.Decision)
	}
	for _, rule := range p.rules {
		if rule != nil {
			e.Rules = append(e.Rules, rule.report(r, s, rec))
		}
	}
	return e
}

// report says what the rule had to do with a decision.
func (r *rule) report(request *Request, s *Subject, rec *recorder) RuleReport {
	out := RuleReport{
		Policy: r.policy, Rule: r.name, Audit: r.audit, Effect: "Allow",
		Matches: has(rec.found.matches, r.number), Fits: has(rec.found.fits, r.number), MaxBody: r.maxBody,
	}
	if r.deny {
		out.Effect = "Deny"
	}
	if !out.Matches {
		for i := range r.entries {
			out.Mismatches = append(out.Mismatches, r.mismatch(i, request))
		}
	}
	out.Conditions = r.conditionReports(s, rec)
	return out
}

// conditionReports says how each condition of the rule turned out.
func (r *rule) conditionReports(s *Subject, rec *recorder) []ConditionReport {
	asked := inquiry{now: rec.request.Now}
	r.settle(s.token(r.group), &asked)
	if w := rec.when[r.number]; w != nil {
		asked.reports = append(asked.reports, newConditionReport(r.conditions()+".when", w.Holds, w.Problem))
	}
	return asked.reports
}

// mismatch returns the field path of the first field of an entry that does not fit.
func (r *rule) mismatch(entry int, request *Request) string {
	return fmt.Sprintf("%s.match[%d].%s", r.path, entry, r.entries[entry].mismatch(request))
}

// mismatch returns the first field of the entry that does not fit.
func (e *entry) mismatch(r *Request) string {
	if !e.fitsPath(r) {
		return "paths"
	}
	if field := e.misfit(r); field != "" {
		return field
	}
	return "notPaths" // in another reading of the path
}

// fitsPath reports whether the path fits; in any way to read it for a deny rule, in every way for an allow rule.
func (e *entry) fitsPath(r *Request) bool {
	if e.paths == nil {
		return true
	}
	fits := fitsAny(e.paths, r.Path)
	for _, reading := range r.Readings {
		switch one := fitsAny(e.paths, reading.Path); {
		case e.deny:
			fits = fits || one
		case !reading.DenyOnly:
			fits = fits && one
		}
	}
	return fits
}
