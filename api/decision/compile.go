package decision

import (
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// compiler collects rules and problems while policies are read.
type compiler struct {
	program     *Program
	expressions expressions
	enforce     []*rule
	audits      []auditRules
	problems    []error

	policy  string              // ID of the policy being read
	slash   policy.EncodedSlash // of that policy
	issuers map[string]int      // of that policy: name -> number in Program.issuers
}

// auditRules is the rules of one Audit policy.
type auditRules struct {
	policy  string
	issuers IssuerSet
	rules   []*rule
}

// fail takes down a problem.
func (c *compiler) fail(path, problem, want string) {
	c.problems = append(c.problems, &FieldError{Policy: c.policy, Path: path, Problem: problem, Want: want})
}

// addPolicy checks a policy and takes in its issuers and rules.
func (c *compiler) addPolicy(p Policy) {
	spec := &p.Spec
	audit := spec.Mode == policy.Audit
	c.checkSpec(spec)
	c.slash = policy.RefuseEncodedSlash
	if spec.Paths != nil && spec.Paths.EncodedSlash == policy.KeepEncodedSlash {
		c.slash = policy.KeepEncodedSlash
	}
	if !audit {
		c.program.enforce = true
		if c.slash == policy.KeepEncodedSlash {
			c.program.slash = c.slash
		}
	}
	trusted := c.addIssuers(spec.Issuers, audit)
	rules := c.addRules(spec.Rules, audit, trusted)
	if audit {
		c.audits = append(c.audits, auditRules{c.policy, trusted, rules})
	} else {
		c.enforce = append(c.enforce, rules...)
		c.enforceIssuers(trusted)
	}
}

// enforceIssuers keeps the issuers of all Enforce policies in the first group.
func (c *compiler) enforceIssuers(set IssuerSet) {
	if len(c.program.groups) == 0 {
		c.program.groups = append(c.program.groups, group{})
	}
	c.program.groups[0].issuers |= set
}

func (c *compiler) addIssuers(issuers []policy.Issuer, audit bool) IssuerSet {
	checkList(c, "spec.issuers", issuers, 16)
	c.issuers = make(map[string]int, len(issuers))
	var set IssuerSet
	for i := range issuers {
		at := fmt.Sprintf("spec.issuers[%d]", i)
		c.checkIssuer(at, &issuers[i])
		name := issuers[i].Name
		if _, twice := c.issuers[name]; twice {
			c.fail(at+".name", fmt.Sprintf("%q names another issuer too", name), "a name that is unique in the policy")
		}
		n := len(c.program.issuers)
		c.issuers[name] = n
		set = set.With(n)
		c.program.issuers = append(c.program.issuers, Issuer{Policy: c.policy, Index: i, Spec: issuers[i], Audit: audit})
	}
	return set
}

func (c *compiler) addRules(rules []policy.Rule, audit bool, trusted IssuerSet) []*rule {
	checkList(c, "spec.rules", rules, MaxRules)
	if len(rules) > MaxRules {
		return nil
	}
	names := make(map[string]bool, len(rules))
	out := make([]*rule, 0, len(rules))
	for i := range rules {
		at := fmt.Sprintf("spec.rules[%d]", i)
		name := rules[i].Name
		c.checkName(at+".name", name)
		if names[name] {
			c.fail(at+".name", fmt.Sprintf("%q names another rule too", name), "a name that is unique in the policy")
		}
		names[name] = true
		r := &rule{policy: c.policy, name: name, path: at, audit: audit, trusted: trusted}
		c.addRule(r, &rules[i])
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b *rule) int { return strings.Compare(a.name, b.name) })
	return out
}

func (c *compiler) addRule(r *rule, spec *policy.Rule) {
	r.deny = spec.Deny != nil
	checkList(c, r.path+".match", spec.Match, 32)
	for i := range spec.Match {
		if e := c.entry(fmt.Sprintf("%s.match[%d]", r.path, i), &spec.Match[i]); e != nil {
			r.entries = append(r.entries, e)
		}
	}
	if spec.Match == nil {
		r.entries = []*entry{{}}
	}
	captures := sharedCaptures(r.entries)
	for _, e := range r.entries {
		e.deny = r.deny
		if r.deny {
			e.widen()
		}
	}
	switch {
	case spec.Allow != nil && spec.Deny != nil:
		c.fail(r.path, "has both allow and deny", "exactly one of allow, deny")
	case spec.Allow != nil:
		c.addAllow(r, spec.Allow, captures)
	case spec.Deny != nil:
		c.addConditions(r, spec.Deny, captures)
	default:
		c.fail(r.path, "has neither allow nor deny", "exactly one of allow, deny")
	}
}

// widen makes a deny rule fit whether or not there is a final slash: many apps take both for one.
func (e *entry) widen() {
	for _, t := range e.paths {
		if other := t.otherSlash(); other != nil {
			e.paths = append(e.paths, other)
		}
	}
}

func (c *compiler) addAllow(r *rule, spec *policy.Allow, captures []string) {
	at := r.path + ".allow"
	r.anonymous = spec.Anonymous
	if spec.Anonymous && (spec.Issuers != nil || spec.Subjects != nil || spec.Scopes != nil || spec.Claims != nil) {
		c.fail(at+".anonymous", "goes with issuers, subjects, scopes or claims", "anonymous: true alone or with when")
	}
	if !spec.Anonymous && len(c.issuers) == 0 {
		c.fail(at, "asks for a token, but the policy has no issuers", "an issuer under spec.issuers, or anonymous: true")
	}
	c.addConditions(r, &spec.Conditions, captures)
}

func (c *compiler) addConditions(r *rule, spec *policy.Conditions, captures []string) {
	at := r.conditions()
	checkList(c, at+".issuers", spec.Issuers, 16)
	checkUnique(c, at+".issuers", spec.Issuers)
	r.issuers = r.trusted
	if spec.Issuers != nil {
		r.issuers, r.narrowed = 0, true
		for i, name := range spec.Issuers {
			n, ok := c.issuers[name]
			if !ok {
				c.fail(fmt.Sprintf("%s.issuers[%d]", at, i), fmt.Sprintf("%q is no issuer of this policy", name), c.knownIssuers())
			}
			r.issuers = r.issuers.With(n)
		}
	}
	c.checkStrings(at+".subjects", spec.Subjects, bounds{items: 256, min: 1, max: 1024})
	r.subjects = spec.Subjects
	c.checkStrings(at+".scopes", spec.Scopes, bounds{items: 64, min: 1, max: 256})
	for i, s := range spec.Scopes {
		if s != "" && !scopeToken(s) {
			c.fail(fmt.Sprintf("%s.scopes[%d]", at, i), fmt.Sprintf("%q is no scope", s),
				`printable ASCII without spaces, " and \ (RFC 6749 section 3.3)`)
		}
	}
	r.scopes = spec.Scopes
	checkList(c, at+".claims", spec.Claims, 32)
	for i := range spec.Claims {
		r.claims = append(r.claims, c.claimCondition(fmt.Sprintf("%s.claims[%d]", at, i), &spec.Claims[i]))
	}
	if spec.When != "" {
		x, err := c.expressions.compile(spec.When, captures)
		if err != nil {
			c.fail(at+".when", err.problem, err.want)
		}
		r.when = x
	}
}

func (c *compiler) knownIssuers() string {
	if len(c.issuers) == 0 {
		return "an issuer under spec.issuers"
	}
	names := make([]string, 0, len(c.issuers))
	for n := range c.issuers {
		names = append(names, n)
	}
	slices.Sort(names)
	return "one of " + strings.Join(names, ", ")
}

// sharedCaptures returns the names that every path of every entry captures, sorted.
func sharedCaptures(entries []*entry) []string {
	var shared []string
	started := false
	for _, e := range entries {
		if e.paths == nil {
			return nil
		}
		for _, t := range e.paths {
			var names []string
			for _, s := range t.segments {
				if s.capture != "" && (!started || slices.Contains(shared, s.capture)) {
					names = append(names, s.capture)
				}
			}
			shared, started = names, true
		}
	}
	slices.Sort(shared)
	return shared
}

// entry compiles one entry of a match. It returns nil if nothing of it can be used.
func (c *compiler) entry(at string, m *policy.Match) *entry {
	if m.Hosts == nil && m.Paths == nil && m.Methods == nil && m.Ports == nil && m.Headers == nil {
		c.fail(at, "is empty", "at least one of hosts, paths, methods, ports, headers; leave match out to fit every request")
		return nil
	}
	e := &entry{methods: m.Methods, ports: m.Ports}
	c.checkStrings(at+".hosts", m.Hosts, bounds{items: 32, min: 1, max: maxHost})
	for i, h := range m.Hosts {
		e.hosts = append(e.hosts, c.host(fmt.Sprintf("%s.hosts[%d]", at, i), h))
	}
	c.checkStrings(at+".paths", m.Paths, bounds{items: 64, min: 1, max: 1024})
	for i, p := range m.Paths {
		t, err := parseTemplate(p, c.slash)
		if err != nil {
			c.fail(fmt.Sprintf("%s.paths[%d]", at, i), err.problem, err.want)
			continue
		}
		e.paths = append(e.paths, t)
	}
	c.checkStrings(at+".methods", m.Methods, bounds{items: 32, min: 1, max: 32})
	for i, method := range m.Methods {
		if method != "" && !methodToken(method) {
			c.fail(fmt.Sprintf("%s.methods[%d]", at, i), fmt.Sprintf("%q is no method", method), "upper case, such as GET; methods have case")
		}
	}
	checkList(c, at+".ports", m.Ports, 32)
	checkUnique(c, at+".ports", m.Ports)
	for i, port := range m.Ports {
		if port < 1 || port > 65535 {
			c.fail(fmt.Sprintf("%s.ports[%d]", at, i), fmt.Sprintf("%d is no port", port), "1 to 65535")
		}
	}
	e.headers = c.headerMatches(at+".headers", m.Headers)
	return e
}

// host returns a host of a match as it is compared.
func (c *compiler) host(at, h string) string {
	name, wild := strings.CutPrefix(h, "*.")
	canonical, err := CanonicalHost(name)
	if err != nil || strings.HasSuffix(name, ".") || len(canonical) != len(name) && !strings.HasPrefix(name, "[") {
		if h != "" {
			c.fail(at, fmt.Sprintf("%q is no host", h), `a name such as "api.example.com" or "*.example.com", without port`)
		}
		return "invalid"
	}
	if wild {
		return "." + canonical
	}
	return canonical
}

func (c *compiler) headerMatches(at string, headers []policy.HeaderMatch) []headerMatch {
	checkList(c, at, headers, 16)
	seen := make(map[string]bool)
	var out []headerMatch
	for i := range headers {
		h := &headers[i]
		here := fmt.Sprintf("%s[%d]", at, i)
		c.checkHeaderName(here+".name", h.Name)
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		if seen[name] {
			c.fail(here+".name", fmt.Sprintf("%q comes twice", h.Name), "one entry a header")
		}
		seen[name] = true
		if name == "Host" {
			c.fail(here+".name", "the host is not matched as a header", "hosts")
		}
		if (h.Exists != nil) == (h.Values != nil) {
			c.fail(here, "has both or neither of exists and values", "exactly one of exists, values")
		}
		c.checkStrings(here+".values", h.Values, bounds{items: 32, min: 0, max: 1024})
		out = append(out, headerMatch{name: name, exists: h.Exists, values: h.Values})
	}
	return out
}

// claimCondition compiles a condition on a claim.
func (c *compiler) claimCondition(at string, spec *policy.ClaimCondition) claimCondition {
	var out claimCondition
	path, err := ParseClaimPath(spec.Claim)
	if err != nil {
		c.fail(at+".claim", err.Error(), `a claim path such as realm_access.roles or ["https://example.com/tenant"]`)
	}
	out.path = path
	given := 0
	take := func(present bool, op operator) bool {
		if present {
			given++
			out.op = op
		}
		return present
	}
	if take(spec.Exists != nil, opExists) {
		out.exists = *spec.Exists
	}
	if take(spec.Equals != nil, opEquals) {
		c.checkStrings(at+".equals", []string{*spec.Equals}, bounds{items: 1, min: 0, max: 1024})
		out.values = newValues([]string{*spec.Equals})
	}
	for _, l := range []struct {
		op    operator
		texts []string
		items int
	}{{opAnyOf, spec.AnyOf, 256}, {opAllOf, spec.AllOf, 64}, {opNoneOf, spec.NoneOf, 256}} {
		if take(l.texts != nil, l.op) {
			c.checkStrings(at+"."+l.op.String(), l.texts, bounds{items: l.items, min: 0, max: 1024})
			out.values = newValues(l.texts)
		}
	}
	if take(spec.Matches != "", opMatches) {
		out.pattern = c.pattern(at+".matches", spec.Matches)
	}
	if take(spec.GreaterThan != nil, opGreaterThan) {
		out.bound = boundOf(*spec.GreaterThan)
	}
	if take(spec.LessThan != nil, opLessThan) {
		out.bound = boundOf(*spec.LessThan)
	}
	if given != 1 {
		c.fail(at, fmt.Sprintf("has %d operators", given),
			"exactly one of exists, equals, anyOf, allOf, noneOf, matches, greaterThan, lessThan")
	}
	return out
}
