package decision

import (
	"fmt"
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
	c.addCORS(spec)
	paths := pathOptions(spec.Paths)
	c.slash = paths.Slash
	if !audit {
		c.enforcePaths(paths)
		c.program.enforce = true
		c.program.closes = c.program.closes || spec.Streams != nil && spec.Streams.OnExpiry == policy.CloseStream
	}
	trusted := c.addIssuers(spec.Issuers, spec.Resource, audit)
	rules := c.addRules(spec.Rules, audit, trusted)
	c.addResource(spec)
	if audit {
		c.audits = append(c.audits, auditRules{c.policy, trusted, rules})
	} else {
		c.enforce = append(c.enforce, rules...)
		c.enforceIssuers(trusted)
	}
}

// pathOptions are what one policy asks for.
func pathOptions(p *policy.Paths) PathOptions {
	if p == nil {
		return PathOptions{}
	}
	return PathOptions{Slash: p.EncodedSlash, AsSent: p.Forward == policy.ForwardAsSent}
}

// enforcePaths takes in what an Enforce policy asks for. One is enough to keep encoded slashes, which every app gets in
// the same form; the app is trusted to read paths as they were sent only if all policies trust it.
func (c *compiler) enforcePaths(o PathOptions) {
	all := &c.program.paths
	all.AsSent = o.AsSent && (all.AsSent || !c.program.enforce)
	if o.Slash == policy.KeepEncodedSlash {
		all.Slash = policy.KeepEncodedSlash
	}
}

// enforceIssuers keeps the issuers of all Enforce policies in the first group.
func (c *compiler) enforceIssuers(set IssuerSet) {
	if len(c.program.groups) == 0 {
		c.program.groups = append(c.program.groups, group{})
	}
	c.program.groups[0].issuers |= set
}

func (c *compiler) addIssuers(issuers []policy.Issuer, resource *policy.Resource, audit bool) IssuerSet {
	checkList(c, "spec.issuers", issuers, 16)
	c.issuers = make(map[string]int, len(issuers))
	var set IssuerSet
	for i := range issuers {
		at := fmt.Sprintf("spec.issuers[%d]", i)
		c.checkIssuer(at, &issuers[i], resource)
		name := issuers[i].Name
		if _, twice := c.issuers[name]; twice {
			c.fail(at+".name", fmt.Sprintf("%q names another issuer too", name), "a name that is unique in the policy")
		}
		n := len(c.program.issuers)
		c.issuers[name] = n
		set = set.With(n)
		c.program.issuers = append(c.program.issuers, Issuer{Policy: c.policy, Index: i, Spec: withResource(issuers[i], resource), Audit: audit})
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
			e.paths = widen(e.paths)
		} else {
			e.notPaths = widen(e.notPaths)
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

// widen makes templates fit whether or not there is a final slash: many apps take both for one.
func widen(templates []*template) []*template {
	for _, t := range templates {
		if other := t.otherSlash(); other != nil {
			templates = append(templates, other)
		}
	}
	return templates
}

func (c *compiler) addAllow(r *rule, spec *policy.Allow, captures []string) {
	at := r.path + ".allow"
	c.checkWhom(at, spec)
	r.anonymous, r.ignores = spec.Anonymous, spec.IgnoreToken
	c.addConditions(r, &spec.Conditions, captures)
	c.addLogin(r, at+".authentication", spec.Authentication)
	if b := spec.MaxBody; b != nil {
		if b.Bytes < 1 || b.Bytes > policy.MaxSize {
			c.fail(at+".maxBody", fmt.Sprintf("is %d bytes", b.Bytes), `1 to 1Pi, such as "10Mi"; to allow no body, list methods`)
		}
		r.maxBody = b.Bytes
	}
}

// checkWhom checks that an allow rule says whom it allows, and that in one way.
func (c *compiler) checkWhom(at string, spec *policy.Allow) {
	if spec.Vague() && !spec.IgnoreToken {
		c.fail(at, "says nothing of who is allowed", "authenticated: true for any valid token, anonymous: true for everybody, or a condition such as scopes")
	}
	if spec.Anonymous && spec.Authenticated {
		c.fail(at+".authenticated", "goes with anonymous: true", "one of the two")
	}
	if spec.Anonymous && asksBearer(spec) {
		c.fail(at+".anonymous", "goes with issuers, subjects, serviceAccounts, spiffeIDs, actors, scopes, claims or authentication", "anonymous: true alone or with when")
	}
	if spec.IgnoreToken && !spec.Anonymous {
		c.fail(at+".ignoreToken", "goes without anonymous: true", "anonymous: true beside it, or the field left out")
	}
	if !spec.Anonymous && len(c.issuers) == 0 {
		c.fail(at, "asks for a token, but the policy has no issuers", "an issuer under spec.issuers, or anonymous: true")
	}
}

// asksBearer reports whether an allow rule has a condition on a token, CEL aside.
func asksBearer(spec *policy.Allow) bool {
	return spec.Issuers != nil || spec.Subjects != nil || spec.ServiceAccounts != nil || spec.SPIFFEIDs != nil || spec.Actors != nil ||
		spec.Scopes != nil || spec.Claims != nil || spec.Authentication != nil
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
	c.addServiceAccounts(r, at+".serviceAccounts", spec.ServiceAccounts)
	c.addSPIFFEIDs(r, at+".spiffeIDs", spec.SPIFFEIDs)
	c.addActors(r, at+".actors", spec.Actors)
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
		x, err := c.expressions.condition(spec.When, captures)
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
