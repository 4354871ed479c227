package decision

import "math"

// none stands for no rule.
const none = math.MaxInt

// tally is what a group's rules say of a request: for each kind, the first rule that fits.
type tally struct {
	deny, allow int
	scope       int // an allow rule that fits but for scopes
}

// judge is one request on its way through the route index. It lives on the stack.
type judge struct {
	program *Program
	request *Request
	subject *Subject
	tallies []tally   // by group
	record  *recorder // nil, or what Explain wants to know
}

// Decide judges a request. A nil Subject is a request without a token; a Subject of another Program is refused. It does
// not allocate, unless a CEL condition that looks at the request is evaluated or there are Audit policies.
func (p *Program) Decide(r *Request, s *Subject) Decision { return p.decide(r, s, nil) }

func (p *Program) decide(r *Request, s *Subject, record *recorder) Decision {
	if p == nil || len(p.groups) == 0 {
		return Decision{Reason: NoPolicy}
	}
	if s == nil {
		s = p.nobody
	}
	if s.program != p {
		return Decision{Reason: InternalError}
	}
	if r.Path == "" || r.Path[0] != '/' {
		return Decision{Reason: BadPath}
	}
	var space [4]tally
	j := judge{program: p, request: r, subject: s, record: record}
	if len(p.groups) <= len(space) {
		j.tallies = space[:len(p.groups)]
	} else {
		j.tallies = make([]tally, len(p.groups))
	}
	for i := range j.tallies {
		j.tallies[i] = tally{none, none, none}
	}
	p.routes.walk(&j, r.Path[1:], true)
	return j.decision()
}

// match takes in rules whose match fits and that are settled.
func (j *judge) match(masks []mask) {
	for _, m := range masks {
		fits := m.bits & j.subject.fits[m.word]
		scope := m.bits & j.subject.butScope[m.word]
		if j.record != nil {
			j.record.note(m, fits)
		}
		if fits|scope != 0 {
			j.tally(m.word, fits, scope)
		}
	}
}

func (j *judge) tally(word int, fits, scope uint64) {
	t := &j.tallies[j.program.owners[word]]
	deny := j.program.deny[word]
	if denies := fits & deny; denies != 0 {
		t.deny = min(t.deny, first(word, denies))
	}
	if allows := fits &^ deny; allows != 0 {
		t.allow = min(t.allow, first(word, allows))
	}
	if scope != 0 {
		t.scope = min(t.scope, first(word, scope))
	}
}

// matchRoute takes in a route whose match fits, and evaluates the rule's condition on the request if there is one and
// everything else holds.
func (j *judge) matchRoute(route *route) {
	r := route.rule
	m := mask{r.number / 64, 1 << (r.number % 64)}
	if !r.dynamic() {
		j.matchOne(m)
		return
	}
	settled := (j.subject.fits[m.word] | j.subject.butScope[m.word]) & m.bits
	if settled == 0 && j.record == nil {
		return
	}
	holds, problem := r.decideWhen(&activation{
		token:    r.seen(j.subject.token(r.group)),
		request:  j.request,
		template: route.template,
	})
	if j.record != nil {
		j.record.noteWhen(r.number, holds, problem)
	}
	if holds {
		j.matchOne(m)
	} else if j.record != nil {
		j.record.note(m, 0)
	}
}

func (j *judge) matchOne(m mask) {
	one := [1]mask{m}
	j.match(one[:])
}

// decision sums up.
func (j *judge) decision() Decision {
	p := j.program
	d := Decision{Allowed: true, Reason: AuditOnly}
	audits := j.tallies
	if p.enforce {
		d = j.sum(0)
		audits = audits[1:]
	}
	if len(audits) == 0 {
		return d
	}
	d.Audit = make([]AuditResult, len(audits))
	offset := len(p.groups) - len(audits)
	for i := range audits {
		v := j.sum(offset + i)
		d.Audit[i] = AuditResult{Policy: p.groups[offset+i].policy, Rule: v.Rule, Allowed: v.Allowed, Reason: v.Reason}
	}
	return d
}

// sum returns the verdict of one group: if any deny rule fits, refuse; else if any allow rule fits, forward; else
// refuse.
func (j *judge) sum(group int) Decision {
	t := &j.tallies[group]
	known := j.subject.verified&j.program.groups[group].issuers != 0
	switch {
	case t.deny != none:
		return j.name(Decision{Reason: DeniedByRule}, t.deny)
	case j.subject.bound && j.subject.verified == 0:
		return Decision{Reason: UnknownIssuer}
	case t.allow != none:
		return j.name(Decision{Allowed: true, Reason: Allowed}, t.allow)
	case j.subject.bound && !known && j.program.groups[group].issuers != 0:
		return Decision{Reason: UnknownIssuer}
	case !known:
		return Decision{Reason: NoToken}
	case t.scope != none:
		return j.name(Decision{Reason: InsufficientScope, Scopes: j.subject.lackingScopes(t.scope)}, t.scope)
	}
	return Decision{Reason: NoRule}
}

// name adds the rule that decided.
func (j *judge) name(d Decision, rule int) Decision {
	r := j.program.rules[rule]
	d.Policy, d.Rule = r.policy, r.name
	return d
}
