package decision_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

// cluster has an issuer of the cluster's own and a stranger.
const cluster = `
issuers:
- {name: corp, issuer: https://corp.example, audiences: [orders], keys: {discovery: {}}}
- {name: k8s, issuer: https://kubernetes.default.svc, audiences: [orders], keys: {kubernetes: {}}}
`

func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	const corp, k8s = decision.IssuerSet(1), decision.IssuerSet(2)
	tests := map[string]struct {
		rule string
		sub  string
		by   decision.IssuerSet
		want decision.Reason
	}{
		"the account":                            {"allow: {serviceAccounts: [shop/cart]}", "system:serviceaccount:shop:cart", k8s, decision.Allowed},
		"another account":                        {"allow: {serviceAccounts: [shop/cart]}", "system:serviceaccount:shop:cart2", k8s, decision.NoRule},
		"another namespace":                      {"allow: {serviceAccounts: [shop/cart]}", "system:serviceaccount:evil:cart", k8s, decision.NoRule},
		"another issuer's token with that sub":   {"allow: {serviceAccounts: [shop/cart]}", "system:serviceaccount:shop:cart", corp, decision.NoRule},
		"both issuers vouch":                     {"allow: {serviceAccounts: [shop/cart]}", "system:serviceaccount:shop:cart", corp | k8s, decision.Allowed},
		"the rule takes only the other issuer":   {"allow: {issuers: [k8s], serviceAccounts: [shop/cart]}", "system:serviceaccount:shop:cart", corp, decision.NoRule},
		"every one of a namespace":               {"allow: {serviceAccounts: [a/b, shop/*]}", "system:serviceaccount:shop:any.thing", k8s, decision.Allowed},
		"a namespace that begins so":             {"allow: {serviceAccounts: [shop/*]}", "system:serviceaccount:shop2:cart", k8s, decision.NoRule},
		"a namespace without an account":         {"allow: {serviceAccounts: [shop/*]}", "system:serviceaccount:shop:", k8s, decision.NoRule},
		"the namespace's stranger":               {"allow: {serviceAccounts: [shop/*]}", "system:serviceaccount:shop:cart", corp, decision.NoRule},
		"a person":                               {"allow: {serviceAccounts: [shop/*]}", "alice", k8s, decision.NoRule},
		"other conditions hold too":              {"allow: {serviceAccounts: [shop/cart], scopes: [x]}", "system:serviceaccount:shop:cart", k8s, decision.InsufficientScope},
		"denied":                                 {"deny: {serviceAccounts: [shop/*]}", "system:serviceaccount:shop:cart", k8s, decision.DeniedByRule},
		"not denied":                             {"deny: {serviceAccounts: [shop/cart]}", "system:serviceaccount:shop:other", k8s, decision.Allowed},
		"not denied: another issuer's name only": {"deny: {serviceAccounts: [shop/cart]}", "system:serviceaccount:shop:cart", corp, decision.Allowed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := "rules: [{name: r, " + tt.rule + "}]"
			if tt.rule[0] == 'd' {
				rules = "rules: [{name: all, allow: {authenticated: true}}, {name: r, " + tt.rule + "}]"
			}
			p := compile(t, cluster+rules)
			s := p.Bind(claims(t, `{"sub":"`+tt.sub+`"}`), tt.by)
			if d := decide(t, p, request(t, "GET /"), s); d.Reason != tt.want {
				t.Errorf("%s, want %s", d.Reason, tt.want)
			}
		})
	}
	// A team without issuers of its own may deny what others let in.
	p := compile(t, cluster+"rules: [{name: all, allow: {authenticated: true}}]", "rules: [{name: r, deny: {serviceAccounts: [shop/cart]}}]")
	s := p.Bind(claims(t, `{"sub":"system:serviceaccount:shop:cart"}`), k8s)
	if d := decide(t, p, request(t, "GET /"), s); d.Reason != decision.DeniedByRule {
		t.Errorf("another policy's deny rule: %s", d.Reason)
	}
}

func TestServiceAccountMistakes(t *testing.T) {
	t.Parallel()
	const at = "spec.rules[0].allow.serviceAccounts"
	allow := func(list string) string {
		return cluster + "rules: [{name: r, allow: {serviceAccounts: " + list + "}}]"
	}
	for name, tt := range map[string]struct{ spec, path, text string }{
		"a name alone":             {allow("[cart]"), at + "[0]", `namespace/name, such as "shop/cart"`},
		"a sub":                    {allow("['system:serviceaccount:shop:cart']"), at + "[0]", "namespace/name"},
		"every namespace":          {allow("['*/cart']"), at + "[0]", "namespace/name"},
		"a part of a name":         {allow("['shop/cart-*']"), at + "[0]", `"shop/*" for every one`},
		"a dot in the namespace":   {allow("[a.b/cart]"), at + "[0]", "namespace/name"},
		"upper case":               {allow("[Shop/cart]"), at + "[0]", "namespace/name"},
		"no name":                  {allow("[shop/]"), at + "[0]", "namespace/name"},
		"an empty list":            {allow("[]"), at, "left out"},
		"the same twice":           {allow("[a/b, a/b]"), at + "[1]", "same"},
		"no issuer of the cluster": {"issuers: [{name: corp, issuer: 'https://c', audiences: [a], keys: {discovery: {}}}]\nrules: [{name: r, allow: {serviceAccounts: [a/b]}}]", at, "keys: {kubernetes: {}}"},
		"only other issuers":       {cluster + "rules: [{name: r, allow: {issuers: [corp], serviceAccounts: [a/b]}}]", at, "keys: {kubernetes: {}}"},
		"with anonymous":           {cluster + "rules: [{name: r, allow: {anonymous: true, serviceAccounts: [a/b]}}]", "spec.rules[0].allow.anonymous", "serviceAccounts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.spec, tt.path, tt.text)
		})
	}
}
