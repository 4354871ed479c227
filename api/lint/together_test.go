package lint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestTogether(t *testing.T) {
	t.Parallel()
	of := func(name, url string, mode policy.Mode) decision.Policy {
		return decision.Policy{Namespace: "shop", Name: name, Spec: policy.Spec{Mode: mode, Resource: &policy.Resource{URL: url}}}
	}
	hidden := func(path string) string {
		f := HiddenResource(path, "a")
		return f.Error()
	}
	for what, c := range map[string]struct {
		policies []decision.Policy
		want     []string
	}{
		"one policy":             {[]decision.Policy{of("a", "https://a.example/mcp", "")}, nil},
		"two paths":              {[]decision.Policy{of("a", "https://a.example/mcp", ""), of("b", "https://a.example/other", "")}, nil},
		"one of them audits":     {[]decision.Policy{of("a", "https://a.example/mcp", policy.Audit), of("b", "https://a.example/mcp", "")}, nil},
		"a URL that is none":     {[]decision.Policy{of("a", "https://A.example/mcp", ""), of("b", "https://a.example/mcp", "")}, nil},
		"one without":            {[]decision.Policy{{Namespace: "shop", Name: "a"}, of("b", "https://a.example/mcp", "")}, nil},
		"the root, in two ways":  {[]decision.Policy{of("a", "https://a.example", ""), of("b", "https://a.example/", "")}, []string{hidden("/.well-known/oauth-protected-resource")}},
		"one path, at two hosts": {[]decision.Policy{of("b", "https://b.example/mcp", ""), of("a", "https://a.example/mcp", "")}, []string{hidden("/.well-known/oauth-protected-resource/mcp")}},
	} {
		var got []string
		for _, f := range Together(c.policies) {
			if f.Policy != "shop/b" {
				t.Errorf("%s: told of %s", what, f.Policy)
			}
			f.Policy = ""
			got = append(got, f.Error())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}
