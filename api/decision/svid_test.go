package decision_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

// mesh has issuers of two trust domains, and one of people.
const mesh = `
issuers:
- {name: corp, issuer: https://corp.example, audiences: [orders], keys: {discovery: {}}}
- {name: mesh, audiences: [orders], keys: {spiffe: {trustDomain: example.org, bundleURL: 'https://spire.example.org/bundle'}}}
- {name: other, audiences: [orders], keys: {spiffe: {trustDomain: other.org, configMapRef: {name: other, key: bundle}}}}
`

func TestSPIFFEIDs(t *testing.T) {
	t.Parallel()
	const corp, own, other = decision.IssuerSet(1), decision.IssuerSet(2), decision.IssuerSet(4)
	tests := map[string]struct {
		rule string
		sub  string
		by   decision.IssuerSet
		want decision.Reason
	}{
		"the workload":                         {"allow: {spiffeIDs: ['spiffe://example.org/ns/shop/sa/cart']}", "spiffe://example.org/ns/shop/sa/cart", own, decision.Allowed},
		"one of a pattern":                     {"allow: {spiffeIDs: ['spiffe://example.org/ns/*/sa/cart']}", "spiffe://example.org/ns/shop/sa/cart", own, decision.Allowed},
		"one of several":                       {"allow: {spiffeIDs: ['spiffe://other.org/a', 'spiffe://example.org/*']}", "spiffe://example.org/b", own, decision.Allowed},
		"another workload":                     {"allow: {spiffeIDs: ['spiffe://example.org/ns/*/sa/cart']}", "spiffe://example.org/ns/shop/sa/cart2", own, decision.NoRule},
		"a star is one segment":                {"allow: {spiffeIDs: ['spiffe://example.org/ns/*/sa/cart']}", "spiffe://example.org/ns/a/b/sa/cart", own, decision.NoRule},
		"of another trust domain":              {"allow: {spiffeIDs: ['spiffe://example.org/*']}", "spiffe://other.org/a", other, decision.NoRule},
		"a person with such a name":            {"allow: {spiffeIDs: ['spiffe://example.org/*']}", "spiffe://example.org/a", corp, decision.NoRule},
		"both vouch":                           {"allow: {spiffeIDs: ['spiffe://example.org/*']}", "spiffe://example.org/a", corp | own, decision.Allowed},
		"the rule takes only the other issuer": {"allow: {issuers: [mesh], spiffeIDs: ['spiffe://example.org/*']}", "spiffe://example.org/a", corp, decision.NoRule},
		"other conditions hold too":            {"allow: {spiffeIDs: ['spiffe://example.org/*'], scopes: [x]}", "spiffe://example.org/a", own, decision.InsufficientScope},
		"denied":                               {"deny: {spiffeIDs: ['spiffe://example.org/*']}", "spiffe://example.org/a", own, decision.DeniedByRule},
		"not denied":                           {"deny: {spiffeIDs: ['spiffe://example.org/a']}", "spiffe://example.org/b", own, decision.Allowed},
		"not denied: another's name only":      {"deny: {spiffeIDs: ['spiffe://example.org/a']}", "spiffe://example.org/a", corp, decision.Allowed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := "rules: [{name: r, " + tt.rule + "}]"
			if tt.rule[0] == 'd' {
				rules = "rules: [{name: all, allow: {authenticated: true}}, {name: r, " + tt.rule + "}]"
			}
			p := compile(t, mesh+rules)
			s := p.Bind(claims(t, `{"sub":"`+tt.sub+`"}`), tt.by)
			if d := decide(t, p, request(t, "GET /"), s); d.Reason != tt.want {
				t.Errorf("%s, want %s", d.Reason, tt.want)
			}
		})
	}
	// A team without issuers of its own may deny what others let in.
	p := compile(t, mesh+"rules: [{name: all, allow: {authenticated: true}}]", "rules: [{name: r, deny: {spiffeIDs: ['spiffe://example.org/a']}}]")
	if d := decide(t, p, request(t, "GET /"), p.Bind(claims(t, `{"sub":"spiffe://example.org/a"}`), own)); d.Reason != decision.DeniedByRule {
		t.Errorf("another policy's deny rule: %s", d.Reason)
	}
}

func TestSPIFFEMistakes(t *testing.T) {
	t.Parallel()
	const rule, keys = "spec.rules[0].allow.spiffeIDs", "spec.issuers[0].keys.spiffe"
	allow := func(list string) string { return mesh + "rules: [{name: r, allow: {spiffeIDs: " + list + "}}]" }
	with := func(field string) string {
		return "issuers: [{name: a, audiences: [x], " + field + ", keys: {spiffe: {trustDomain: example.org, bundleURL: 'https://a.example/b'}}}]"
	}
	source := func(spiffe string) string {
		return "issuers: [{name: a, audiences: [x], keys: {spiffe: " + spiffe + "}}]"
	}
	for name, tt := range map[string]struct{ spec, path, text string }{
		"a path alone":             {allow("[/ns/shop]"), rule + "[0]", "spiffe://example.org/ns/shop/sa/cart"},
		"a part of a segment":      {allow("['spiffe://example.org/a-*']"), rule + "[0]", "whole segments"},
		"every trust domain":       {allow("['spiffe://*/a']"), rule + "[0]", "whole segments"},
		"an empty list":            {allow("[]"), rule, "left out"},
		"the same twice":           {allow("['spiffe://example.org/a', 'spiffe://example.org/a']"), rule + "[1]", "same"},
		"an unknown trust domain":  {allow("['spiffe://example.com/a']"), rule + "[0]", "trustDomain: example.com"},
		"of no issuer of the rule": {mesh + "rules: [{name: r, allow: {issuers: [corp], spiffeIDs: ['spiffe://example.org/a']}}]", rule + "[0]", "trustDomain: example.org"},
		"with anonymous":           {mesh + "rules: [{name: r, allow: {anonymous: true, spiffeIDs: ['spiffe://example.org/a']}}]", "spec.rules[0].allow.anonymous", "spiffeIDs"},
		"a trust domain as an ID":  {source("{trustDomain: 'spiffe://a', bundleURL: 'https://a.example/b'}"), keys + ".trustDomain", "without spiffe://"},
		"in upper case":            {source("{trustDomain: A.example, bundleURL: 'https://a.example/b'}"), keys + ".trustDomain", "lower case"},
		"no bundle":                {source("{trustDomain: a}"), keys, "exactly one of bundleURL, configMapRef"},
		"two bundles":              {source("{trustDomain: a, bundleURL: 'https://a.example/b', configMapRef: {name: a, key: b}}"), keys, "exactly one of"},
		"no URL":                   {source("{trustDomain: a, bundleURL: 'ftp://a.example/b'}"), keys + ".bundleURL", "https URL"},
		"a bundle in PEM":          {source("{trustDomain: a, configMapRef: {name: a, key: b, format: PEM}}"), keys + ".configMapRef.format", "JWK Set"},
		"any issuer":               {with("anyIssuer: true"), "spec.issuers[0].anyIssuer", "trust domain"},
		"any audience":             {"issuers: [{name: a, anyAudience: true, keys: {spiffe: {trustDomain: example.org, bundleURL: 'https://a.example/b'}}}]", "spec.issuers[0].anyAudience", "audiences given"},
		"no exp":                   {with("allowMissingExp: true"), "spec.issuers[0].allowMissingExp", "left out"},
		"types":                    {with("types: [JWT]"), "spec.issuers[0].types", "JOSE"},
		"a profile":                {with("issuer: 'https://a', profile: RFC9068"), "spec.issuers[0].profile", "keys.spiffe"},
		"decryption":               {with("decryption: {secretRef: {name: a, key: b}}"), "spec.issuers[0].decryption", "signed only"},
		"an algorithm":             {with("algorithms: [EdDSA]"), "spec.issuers[0].algorithms[0]", "RS256"},
		"a CA where none is asked": {"issuers: [{name: a, audiences: [x], caSecretRef: {name: a, key: b}, keys: {spiffe: {trustDomain: a, configMapRef: {name: a, key: b}}}}]", "spec.issuers[0].caSecretRef", "keys.spiffe.bundleURL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.spec, tt.path, tt.text)
		})
	}
	compile(t, with("issuer: 'https://spire.example', algorithms: [RS256, ES512], caSecretRef: {name: a, key: b}"))
}
