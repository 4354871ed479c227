package decision

import "math"

// none stands for no rule.
const none = math.MaxInt

// tally is what a group's rules say of a request: for each kind, the first rule that fits.
type tally struct {
	deny, allow int
	scope       int // an allow rule that fits but for scopes
	login       int // an allow rule that fits but for how the user logged in, and perhaps scopes
	ignores     int // an allow rule that fits and ignores the token
}

// outcome is how the rules of a word turned out, a bit for each.
type outcome struct {
	fits  uint64 // all conditions hold
	scope uint64 // all hold but for scopes
	login uint64 // all hold but for how the user logged in, and perhaps scopes
}

// judge is one request on its way through the route index. It lives on the stack.
type judge struct {
	program *Program
	request *Request
	subject *Subject
	few     [4]tally  // of the first groups
	more    []tally   // of the others
	record  *recorder // nil, or what Explain wants to know
	found   *found    // nil: rules that fit are tallied at once
	// matching: only which rules match is asked, whoever brings the request
	matching bool

	unlimited bool  // an Enforce rule without maxBody allows
	maxBody   int64 // the largest of those that do, in bytes
}

// of returns the tally of a group.
func (j *judge) of(group int) *tally {
	if group < len(j.few) {
		return &j.few[group]
	}
	return &j.more[group-len(j.few)]
}

// Decide judges a request. A nil Subject is a request without a token; a Subject of another Program is refused. It does
// not allocate, unless a CEL condition that looks at the request is evaluated or there is more than one Audit policy.
func (p *Program) Decide(r *Request, s *Subject) Decision { return p.decide(r, s, nil) }

func (p *Program) decide(r *Request, s *Subject, record *recorder) Decision {
	if p == nil || len(p.groups) == 0 {
		return Decision{Reason: NoPolicy}
	}
	if s == nil {
		s = p.nobody
	}
	if !s.of(p) {
		return Decision{Reason: InternalError}
	}
	if r.Path == "" || r.Path[0] != '/' {
		return Decision{Reason: BadPath}
	}
	j := judge{program: p, request: r, subject: s, record: record}
	j.walk(p.routes)
	return j.decision()
}

// walk fills in the tallies of all groups. The path begins with a slash.
func (j *judge) walk(routes *node) {
	groups := len(j.program.groups)
	if n := groups - len(j.few); n > 0 {
		j.more = make([]tally, n)
	}
	for i := range groups {
		*j.of(i) = tally{none, none, none, none, none}
	}
	if j.record == nil && j.request.Readings == nil {
		routes.walk(j, j.request.Path[1:], true)
	} else {
		j.walkAll(routes)
	}
}

// match takes in rules whose match fits and that are settled.
func (j *judge) match(masks []mask) {
	for _, m := range masks {
		j.take(m, j.subject.outcome(m))
	}
}

// take takes in how rules turned out whose match fits.
func (j *judge) take(m mask, o outcome) {
	switch {
	case j.found != nil:
		j.found.add(m, o)
	case o != (outcome{}):
		j.tally(m.word, o)
	}
}

func (j *judge) tally(word int, o outcome) {
	owner := j.program.owners[word]
	t := j.of(owner)
	deny := j.program.deny[word]
	if denies := o.fits & deny; denies != 0 {
		t.deny = min(t.deny, first(word, denies))
	}
	if allows := o.fits &^ deny; allows != 0 {
		t.allow = min(t.allow, first(word, allows))
		if ignores := j.program.ignored.of(word) & allows; ignores != 0 {
			t.ignores = min(t.ignores, first(word, ignores))
		}
		if j.program.limits != nil && owner == 0 {
			j.limit(word, allows)
		}
	}
	if o.scope != 0 {
		t.scope = min(t.scope, first(word, o.scope))
	}
	if o.login != 0 {
		t.login = min(t.login, first(word, o.login))
	}
}

// matchRoute takes in a route whose match fits, and evaluates the rule's conditions on the request and its time if there are
// any and everything else holds.
func (j *judge) matchRoute(route *route) {
	r := route.rule
	m := mask{r.number / 64, 1 << (r.number % 64)}
	if !r.dynamic() || j.matching {
		j.matchOne(m)
		return
	}
	if j.record == nil && !j.settled(r) {
		return
	}
	if r.asksRequest() {
		holds, problem := j.decideWhen(route)
		if j.record != nil {
			j.record.noteWhen(r.number, holds, problem)
		}
		if !holds {
			j.take(m, outcome{})
			return
		}
	}
	o := j.subject.outcome(m)
	if r.login.ages() && !r.recent(r.seen(j.subject.token(r.group)), &j.program.reads, j.request.Now) {
		o = outcome{login: o.fits | o.scope | o.login}
	}
	j.take(m, o)
}

// decideWhen evaluates the condition of a route. That of an allow rule must hold in whatever way the path is read.
func (j *judge) decideWhen(route *route) (holds bool, problem string) {
	r := route.rule
	if !j.affords(r) {
		return false, ""
	}
	a := activation{
		token: r.seen(j.subject.token(r.group)), request: j.request, path: j.request.Path, template: route.template,
		reads: &j.program.reads,
	}
	holds, problem = r.decideWhen(&a)
	for _, reading := range j.request.Readings {
		if holds && !r.deny && reading.DenyOnly {
			a.path = reading.Path
			holds, problem = r.decideWhen(&a)
		}
	}
	return holds, problem
}

// settled reports whether the conditions on the token hold, scopes and the user's log-in aside: else the rule cannot fit.
func (j *judge) settled(r *rule) bool {
	return j.subject.outcome(mask{r.number / 64, 1 << (r.number % 64)}) != outcome{}
}

func (j *judge) matchOne(m mask) {
	one := [1]mask{m}
	j.match(one[:])
}

// limit takes in what rules that allow say of the body.
func (j *judge) limit(word int, allows uint64) {
	l := j.program.limits
	j.unlimited = j.unlimited || allows&^l.limited[word] != 0
	for set := allows & l.limited[word]; set != 0; set &= set - 1 {
		j.maxBody = max(j.maxBody, l.bytes[first(word, set)])
	}
}

// decision sums up.
func (j *judge) decision() Decision {
	p := j.program
	d := Decision{Allowed: true, Reason: AuditOnly}
	audits := 0 // the first group that is an Audit policy
	if p.enforce {
		audits = 1
		reason, rule := j.sum(0)
		d = Decision{Allowed: reason == Allowed, Reason: reason, TokenIgnored: reason == Allowed && j.of(0).ignores != none}
		if rule != none {
			d.Policy, d.Rule = p.rules[rule].policy, p.rules[rule].name
		}
		switch {
		case reason == InsufficientScope:
			d.Scopes = p.rules[rule].scopes
		case reason == InsufficientAuthentication:
			d.Scopes, d.Authentication = p.rules[rule].scopes, p.rules[rule].login.spec
		case reason == Allowed && p.limits != nil && !j.unlimited:
			d.MaxBody = j.maxBody
		}
	}
	switch len(p.groups) - audits {
	case 0:
	case 1:
		reason, rule := j.sum(audits)
		d.Audit = p.audit.find(reason, rule)
	default:
		d.Audit = make([]AuditResult, 0, len(p.groups)-audits)
		for i := audits; i < len(p.groups); i++ {
			reason, rule := j.sum(i)
			d.Audit = append(d.Audit, p.auditResult(i, reason, rule))
		}
	}
	return d
}

// sum returns the verdict of one group and the rule that decided, or none: if any deny rule fits, refuse; else if any
// allow rule fits, forward, first of all by one that ignores the token; else refuse.
func (j *judge) sum(group int) (Reason, int) {
	t := j.of(group)
	known := j.subject.verified&j.program.groups[group].issuers != 0
	switch {
	case t.deny != none:
		return DeniedByRule, t.deny
	case j.subject.bound && j.subject.verified == 0:
		return UnknownIssuer, none
	case t.ignores != none:
		return Allowed, t.ignores
	case t.allow != none:
		return Allowed, t.allow
	case j.subject.bound && !known && j.program.groups[group].issuers != 0:
		return UnknownIssuer, none
	case !known:
		return NoToken, none
	case t.scope != none:
		return InsufficientScope, t.scope // which may be had without the user
	case t.login != none:
		return InsufficientAuthentication, t.login
	}
	return NoRule, none
}
