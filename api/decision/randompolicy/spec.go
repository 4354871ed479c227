// Package randompolicy makes policies for tests: every one of them can be used. Same seed, same policy.
package randompolicy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

// OneOf picks one.
func OneOf[T any](rnd *rand.Rand, from ...T) T { return from[rnd.IntN(len(from))] }

// some picks up to most different ones, or none and so nil in all but one of every cases.
func some[T comparable](rnd *rand.Rand, every, most int, from ...T) []T {
	if rnd.IntN(every) > 0 {
		return nil
	}
	var out []T
	for range 1 + rnd.IntN(most) {
		if v := OneOf(rnd, from...); !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// Spec makes rules over few names, so that they overlap, with every field that a rule may have. Those of an
// Audit policy or without issuers are part of it.
func Spec(rnd *rand.Rand, rules int) *policy.Spec {
	spec := &policy.Spec{Mode: OneOf(rnd, policy.Enforce, policy.Enforce, "", policy.Audit)}
	for _, name := range []string{"corp", "partner"} {
		spec.Issuers = append(spec.Issuers, policy.Issuer{
			Name: name, Issuer: "https://" + name + ".example", AnyAudience: true,
			Keys: policy.KeySource{Kubernetes: &policy.KubernetesKeys{}},
		})
	}
	if rnd.IntN(4) == 0 {
		spec.Streams = &policy.Streams{OnExpiry: OneOf(rnd, policy.KeepStream, policy.CloseStream, "")}
	}
	var paths, notPaths []string
	for range 12 {
		paths = append(paths, Template(rnd))
		notPaths = append(notPaths, strings.ReplaceAll(Template(rnd), "{x}", "*"))
	}
	for i := range rules {
		rule := policy.Rule{Name: fmt.Sprintf("r%d", i)}
		for range rnd.IntN(3) {
			rule.Match = append(rule.Match, match(rnd, paths, notPaths))
		}
		conditions := conditionsFor(rnd, &rule)
		switch {
		case rnd.IntN(3) == 0:
			rule.Deny = &conditions
		case rnd.IntN(3) == 0:
			rule.Allow = &policy.Allow{Anonymous: true, IgnoreToken: rnd.IntN(4) == 0, Conditions: policy.Conditions{When: conditions.When}}
		default:
			rule.Allow = &policy.Allow{Conditions: conditions, Authenticated: rnd.IntN(4) == 0}
			rule.Allow.Authenticated = rule.Allow.Authenticated || rule.Allow.Vague()
		}
		if rule.Allow != nil && !rule.Allow.Anonymous && rnd.IntN(4) == 0 {
			rule.Allow.Authentication = OneOf(rnd, &policy.Authentication{ACR: []string{"strong"}},
				&policy.Authentication{MaxAge: &policy.Duration{Duration: 5 * time.Minute}},
				&policy.Authentication{ACR: []string{"strong", "stronger"}, MaxAge: &policy.Duration{Duration: time.Hour}})
		}
		if rule.Allow != nil && rnd.IntN(2) == 0 {
			rule.Allow.MaxBody = &policy.Size{Bytes: 1 + rnd.Int64N(4)}
		}
		spec.Rules = append(spec.Rules, rule)
	}
	return spec
}

func match(rnd *rand.Rand, paths, notPaths []string) policy.Match {
	hosts := []string{"a.example", "b.example", "*.example", "*.a.example", "x.a.example"}
	blocks := []string{"10.0.0.0/8", "10.1.2.3", "10.1.0.0/16", "0.0.0.0/0", "::/0"}
	m := policy.Match{
		Hosts: some(rnd, 2, 3, hosts...), NotHosts: some(rnd, 6, 2, hosts...),
		Paths: some(rnd, 2, 3, paths...), NotPaths: some(rnd, 4, 2, notPaths...),
		Methods: some(rnd, 2, 3, "GET", "PUT", "POST", "DELETE"), NotMethods: some(rnd, 6, 2, "GET", "PUT", "HEAD"),
		Ports: some(rnd, 8, 1, int32(8080)), NotPorts: some(rnd, 8, 2, int32(8080), int32(9090)),
		RemoteIPs: some(rnd, 6, 2, blocks...), NotRemoteIPs: some(rnd, 6, 2, blocks...),
	}
	for _, name := range some(rnd, 4, 2, "X-A", "X-B") {
		h := policy.HeaderMatch{
			Name: name, Values: some(rnd, 2, 2, "a", "b", ""), Patterns: some(rnd, 3, 2, "a*", "*b", "*", "a"),
			NotValues: some(rnd, 3, 2, "a", "ab"), NotPatterns: some(rnd, 3, 2, "a*", "*c"),
		}
		if h.Values == nil && h.Patterns == nil {
			exists := rnd.IntN(3) > 0 || h.NotValues != nil || h.NotPatterns != nil
			h.Exists = &exists
		}
		m.Headers = append(m.Headers, h)
	}
	if m.Hosts == nil && m.Paths == nil {
		m.Methods = []string{"GET", "PUT"}
	}
	return m
}

// conditionsFor makes conditions; path.x is used only where every path has it.
func conditionsFor(rnd *rand.Rand, rule *policy.Rule) policy.Conditions {
	c := policy.Conditions{
		Issuers: some(rnd, 4, 2, "corp", "partner"), Subjects: some(rnd, 4, 2, "ann", "x", "mallory"),
		Scopes: some(rnd, 3, 2, "read", "own"),
	}
	if rnd.IntN(5) == 0 {
		c.Actors = OneOf(rnd, &policy.Actors{None: true}, &policy.Actors{Any: true}, &policy.Actors{AnyOf: []string{"gw"}},
			&policy.Actors{AnyOf: []string{"gw"}, None: true, Issuer: "https://other.example"})
	}
	yes, one, seven := true, int64(1), "7"
	for _, op := range some(rnd, 3, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9) {
		c.Claims = append(c.Claims, []policy.ClaimCondition{
			{Claim: "sub", Exists: &yes}, {Claim: "n", Equals: &seven}, {Claim: "roles", AnyOf: []string{"r1", "r2"}},
			{Claim: "roles", AllOf: []string{"r1"}}, {Claim: "roles", NoneOf: []string{"r2"}},
			{Claim: "roles", Patterns: []string{"*1", "r3"}}, {Claim: "sub", NotPatterns: []string{"mal*"}},
			{Claim: "sub", Matches: "a.*"}, {Claim: "n", GreaterThan: &one}, {Claim: "n", LessThan: &one},
		}[op])
	}
	whens := []string{`claims.sub == "ann"`, `request.method == "GET"`, `claims.sub == request.host`, `claims.nope == "x"`,
		`"spiffe://a" in request.tls.san`, `now.getHours() < 6`, `issuer != ""`, `size(actor) == 0`, `actor.sub == request.host || actor.sub == "gw"`}
	if captures(rule) {
		whens = append(whens, "path.x == claims.sub", `path.x == "a"`)
	}
	if rnd.IntN(3) == 0 {
		c.When = OneOf(rnd, whens...)
	}
	return c
}

func captures(rule *policy.Rule) bool {
	return rule.Match != nil && !slices.ContainsFunc(rule.Match, func(m policy.Match) bool {
		return m.Paths == nil || slices.ContainsFunc(m.Paths, func(p string) bool { return !strings.Contains(p, "{x}") })
	})
}

// Template makes a path template.
func Template(rnd *rand.Rand) string {
	p := Path(rnd, []string{"a", "b", "*", "{x}", "{*}", "a*", "*b", "a*b", "c", "**", "{**}"}, []string{"", "/", "/**", "/**/b", "/{**}/*c"})
	if strings.Count(p, "**") > 1 {
		return "/a/**"
	}
	return p
}

// Path makes a path of up to three segments and one of ends.
func Path(rnd *rand.Rand, segments, ends []string) string {
	var b strings.Builder
	for range rnd.IntN(4) {
		b.WriteString("/" + OneOf(rnd, segments...))
	}
	b.WriteString(OneOf(rnd, ends...))
	if b.Len() == 0 || strings.Count(b.String(), "{x}") > 1 {
		return "/"
	}
	return b.String()
}
