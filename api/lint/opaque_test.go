package lint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestProvidersThatSeeEachOthersTokens(t *testing.T) {
	t.Parallel()
	asked := func(name, url string, from ...policy.TokenLocation) policy.Issuer {
		return policy.Issuer{Name: name, Issuer: "https://" + name + ".example.com", From: from, Introspection: &policy.Introspection{URL: url}}
	}
	found := func(name string, from ...policy.TokenLocation) policy.Issuer {
		is := asked(name, "", from...)
		is.Introspection.Discovery = &policy.Discovery{}
		return is
	}
	const want = "; want a place of its own for each of them, unless they trust each other"
	const each = ": nobody can see whose they are, so each sees the other's" + want
	header := policy.TokenLocation{Header: "X-Partner"}
	for what, c := range map[string]struct {
		issuers []policy.Issuer
		want    []string
	}{
		"two in Authorization": {[]policy.Issuer{found("corp"), asked("partner", "https://login.partner.example/introspect")},
			[]string{`spec.issuers[1].from: opaque tokens in the header Authorization after "Bearer " go to issuer corp and to issuer partner` + each}},
		"two in one header, spelt in two ways": {[]policy.Issuer{found("corp", header), found("partner", policy.TokenLocation{Header: "x-PARTNER"})},
			[]string{"spec.issuers[1].from: opaque tokens in the header X-Partner go to issuer corp and to issuer partner" + each}},
		"one place of several": {[]policy.Issuer{found("corp", policy.TokenLocation{Cookie: "session"}, header), found("partner", header, policy.TokenLocation{Query: "t"})},
			[]string{"spec.issuers[1].from: opaque tokens in the header X-Partner go to issuer corp and to issuer partner" + each}},
		"each is named once": {[]policy.Issuer{found("a", policy.TokenLocation{Cookie: "t"}), found("b", policy.TokenLocation{Cookie: "t"}), found("c", policy.TokenLocation{Cookie: "t"})},
			[]string{"spec.issuers[1].from: opaque tokens in the cookie t go to issuer a and to issuer b" + each,
				"spec.issuers[2].from: opaque tokens in the cookie t go to issuer a and to issuer c" + each}},
		"a place for each":                 {issuers: []policy.Issuer{found("corp"), found("partner", header)}},
		"two names of one provider":        {issuers: []policy.Issuer{asked("a", "https://idp.example/realms/a"), asked("b", "https://IDP.example/realms/b")}},
		"one is asked, the other has keys": {issuers: []policy.Issuer{found("corp"), {Name: "jwt", Issuer: "https://jwt.example.com"}}},
	} {
		rules := []policy.Rule{{Name: "a", Allow: &policy.Allow{Authenticated: true}}}
		var got []string
		for _, f := range Policy(&policy.Spec{Issuers: c.issuers, Rules: rules}, decision.ExpressionHints) {
			got = append(got, f.Error())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}
