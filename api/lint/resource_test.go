package lint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestFindingsInResources(t *testing.T) {
	t.Parallel()
	const mcp = "https://tools.example.com/mcp"
	is := func(edit func(*policy.Issuer)) []policy.Issuer {
		one := policy.Issuer{Name: "a", Issuer: "https://login.example.com"}
		edit(&one)
		return []policy.Issuer{one}
	}
	for what, c := range map[string]struct {
		url     string
		issuers []policy.Issuer
		want    []string
	}{
		"nothing":                    {mcp, is(func(i *policy.Issuer) { i.ResourceAudience = true }), nil},
		"nothing, by hand":           {mcp, is(func(i *policy.Issuer) { i.Audiences = []string{mcp} }), nil},
		"nothing, with both spelled": {"https://a.example", is(func(i *policy.Issuer) { i.Audiences, i.ResourceAudience = []string{"https://a.example/"}, true }), nil},
		"another audience": {mcp, is(func(i *policy.Issuer) { i.Audiences = []string{"tools"} }), []string{
			"spec.resource.url: is the audience of no issuer, and clients ask for tokens for it; want resourceAudience: true with the issuers"}},
		"a slash at the end": {mcp, is(func(i *policy.Issuer) { i.Audiences = []string{mcp + "/"} }), []string{
			"spec.issuers[0].audiences[0]: differs from spec.resource.url in the slash at the end: the two are compared to the letter; want resourceAudience: true",
			"spec.resource.url: is the audience of no issuer, and clients ask for tokens for it; want resourceAudience: true with the issuers"}},
		"a URL without a path": {"https://a.example", is(func(i *policy.Issuer) { i.ResourceAudience = true }), []string{
			"spec.issuers[0].resourceAudience: many clients ask for a URL without a path with a slash at the end, https://a.example/, and audiences are compared to the letter; want audiences with that one as well, or a path in spec.resource.url"}},
		"nobody to get a token from": {mcp, is(func(i *policy.Issuer) { i.Issuer, i.ResourceAudience = "corp", true }), []string{
			"spec.resource: no issuer is a URL, so clients are told of nobody to get a token from; want an issuer with a URL"}},
		"the cluster alone": {mcp, is(func(i *policy.Issuer) { i.Keys.Kubernetes, i.ResourceAudience = &policy.KubernetesKeys{}, true }), []string{
			"spec.resource: no issuer is a URL, so clients are told of nobody to get a token from; want an issuer with a URL"}},
	} {
		spec := policy.Spec{Issuers: c.issuers, Rules: []policy.Rule{sound("a", "/a")}, Resource: &policy.Resource{URL: c.url}}
		var got []string
		for _, f := range Policy(&spec, decision.ExpressionHints) {
			got = append(got, f.Error())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}
