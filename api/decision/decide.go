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
	few     [4]tally  // of the first groups
	more    []tally   // of the others
	record  *recorder // nil, or what Explain wants to know
}

// of returns the tally of a group.
func (j *judge) of(group int) *tally {
	if group < len(j.few) {
		return &j.few[group]
	}
	return &j.more[group-len(j.few)]
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
	j := judge{program: p, request: r, subject: s, record: record}
	if n := len(p.groups) - len(j.few); n > 0 {
		j.more = make([]tally, n)
	}
	for i := range p.groups {
		*j.of(i) = tally{none, none, none}
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
	t := j.of(j.program.owners[word])
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
	audits := 0 // the first group that is an Audit policy
	if p.enforce {
		d = j.sum(0)
		audits = 1
	}
	if len(p.groups) == audits {
		return d
	}
	d.Audit = make([]AuditResult, 0, len(p.groups)-audits)
	for i := audits; i < len(p.groups); i++ {
		v := j.sum(i)
		d.Audit = append(d.Audit, AuditResult{Policy: p.groups[i].policy, Rule: v.Rule, Allowed: v.Allowed, Reason: v.Reason})
	}
	return d
}

// sum returns the verdict of one group: if any deny rule fits, refuse; else if any allow rule fits, forward; else
// refuse.
func (j *judge) sum(group int) Decision {
	t := j.of(group)
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
