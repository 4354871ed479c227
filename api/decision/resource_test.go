package decision_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

// guarded is a policy of two scopes, with what is put in for spec.resource.
func guarded(resource string) string {
	return `
issuers:
- {name: corp, issuer: "https://corp.example", resourceAudience: true, keys: {secretRef: {name: a, key: b}}}
- {name: other, issuer: "https://other.example", audiences: [a], keys: {secretRef: {name: a, key: b}}, from: [{query: access_token}]}
- {name: cluster, issuer: "https://kubernetes.default.svc", audiences: [a], keys: {kubernetes: {}}}
- {name: words, issuer: "corp", audiences: [a], keys: {secretRef: {name: a, key: b}}}
rules:
- {name: write, match: [{methods: [POST]}], allow: {scopes: [b, a, offline_access]}}
- {name: read, match: [{methods: [GET]}], allow: {scopes: [a]}}
- {name: none, match: [{paths: [/no]}], deny: {scopes: [never]}}
resource: ` + resource + "\n"
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]struct{ url, path, metadata string }{
		`{url: "https://mcp.example.com/mcp"}`: {
			"https://mcp.example.com/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource/mcp",
			`{"resource":"https://mcp.example.com/mcp","authorization_servers":["https://corp.example","https://other.example"],"scopes_supported":["a","b"],"bearer_methods_supported":["header","query"]}`,
		},
		`{url: "https://mcp.example.com", authorizationServers: [other], scopes: [x], bearerMethods: [Header], name: Tools, documentation: "https://d.example", policy: "https://p.example", termsOfService: "https://t.example"}`: {
			"https://mcp.example.com/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource",
			`{"resource":"https://mcp.example.com","authorization_servers":["https://other.example"],"scopes_supported":["x"],"bearer_methods_supported":["header"],"resource_name":"Tools","resource_documentation":"https://d.example","resource_policy_uri":"https://p.example","resource_tos_uri":"https://t.example"}`,
		},
		`{url: "https://mcp.example.com/", scopes: [x]}`: {
			"https://mcp.example.com/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource",
			`{"resource":"https://mcp.example.com/","authorization_servers":["https://corp.example","https://other.example"],"scopes_supported":["x"],"bearer_methods_supported":["header","query"]}`,
		},
		`{url: "http://127.0.0.1:8080/a/b/", scopes: [x]}`: {
			"http://127.0.0.1:8080/.well-known/oauth-protected-resource/a/b/", "/.well-known/oauth-protected-resource/a/b/",
			`{"resource":"http://127.0.0.1:8080/a/b/","authorization_servers":["https://corp.example","https://other.example"],"scopes_supported":["x"],"bearer_methods_supported":["header","query"]}`,
		},
	} {
		p := compile(t, guarded(resource))
		r := p.MetadataAt(want.path)
		if r == nil {
			t.Errorf("%s: nothing at %s", resource, want.path)
			continue
		}
		if diff := cmp.Diff([]string{want.url, want.metadata}, []string{r.MetadataURL, string(r.Metadata)}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", resource, diff)
		}
		url := strings.Split(resource, `"`)[1]
		if got := p.Issuers()[0].Spec.Audiences; !cmp.Equal(got, []string{url}) {
			t.Errorf("%s: audiences %v", resource, got)
		}
	}
}

// Neither another path, nor what comes after or before it, is where metadata are.
func TestMetadataAreAtOnePath(t *testing.T) {
	t.Parallel()
	p := compile(t, guarded(`{url: "https://mcp.example.com/mcp"}`))
	for _, path := range []string{
		"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/", "/.well-known/oauth-protected-resource/mcp/",
		"/.well-known/oauth-protected-resource/mcp/x", "/.well-known/oauth-protected-resource/MCP", "/mcp/.well-known/oauth-protected-resource",
		"/.well-known/oauth-protected-resourcemcp", "/.well-known/oauth-authorization-server/mcp", "/x/.well-known/oauth-protected-resource/mcp", "",
	} {
		if p.MetadataAt(path) != nil {
			t.Errorf("%q has metadata", path)
		}
	}
}

func TestAnAuditPolicyHasNoMetadata(t *testing.T) {
	t.Parallel()
	p := compile(t, "mode: Audit\n"+guarded(`{url: "https://mcp.example.com/mcp"}`))
	if p.HasResources() || p.ResourceOf("/mcp") != nil {
		t.Error("it has")
	}
	if got := p.Issuers()[0].Spec.Audiences; len(got) != 1 {
		t.Errorf("audiences %v", got)
	}
}

func TestWrongResources(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]string{
		`{url: ""}`:                                                   `spec.resource.url: is missing`,
		`{url: "mcp.example.com"}`:                                    `spec.resource.url: has scheme`,
		`{url: "https://a.example/x?y=1"}`:                            `spec.resource.url: has a query`,
		`{url: "https://a.example/x?"}`:                               `spec.resource.url: has a query`,
		`{url: "https://a.example/x#y"}`:                              `spec.resource.url: has a fragment`,
		`{url: "http://a.example/x"}`:                                 `spec.resource.url: is http, and its host is not this one`,
		`{url: "https://A.example/x"}`:                                `spec.resource.url: is not in canonical form`,
		`{url: "HTTPS://a.example/x"}`:                                `spec.resource.url: is not in canonical form`,
		`{url: "https://a.example./x"}`:                               `spec.resource.url: is not in canonical form`,
		`{url: "https://a.example:443/x"}`:                            `spec.resource.url: has the port that goes without saying`,
		`{url: "https://u:p@a.example/x"}`:                            `spec.resource.url: has user information`,
		`{url: "https://a.example/x/../y"}`:                           `spec.resource.url: has a path that is not in canonical form`,
		`{url: "https://a.example/%61"}`:                              `spec.resource.url: has a path that is not in canonical form`,
		`{url: "https://a.example/a%2Fb"}`:                            `spec.resource.url: has a path that is not in canonical form`,
		`{url: "https://a.example//x"}`:                               `spec.resource.url: has a path that is not in canonical form`,
		"{url: \"https://a.example/x\\r\\ny\"}":                       `spec.resource.url: `,
		`{url: "https://a\".example"}`:                                `spec.resource.url: `,
		`{url: "https://a.example", scopes: []}`:                      `spec.resource.scopes: is empty`,
		`{url: "https://a.example", scopes: [a b]}`:                   `spec.resource.scopes[0]: "a b" is no scope`,
		`{url: "https://a.example", documentation: "javascript:x"}`:   `spec.resource.documentation: has scheme`,
		`{url: "https://a.example", authorizationServers: [nobody]}`:  `spec.resource.authorizationServers[0]: "nobody" is no issuer of this policy; want one of cluster, corp`,
		`{url: "https://a.example", authorizationServers: [cluster]}`: `spec.resource.authorizationServers[0]: issuer cluster is none that clients get tokens from`,
		`{url: "https://a.example", bearerMethods: [Body]}`:           `spec.resource.bearerMethods[0]: "Body" is none`,
	} {
		if _, err := compileBoth(t, []decision.Policy{parse(t, "a", guarded(resource))}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", resource, err, want)
		}
	}
	const no = `issuers: [{name: corp, issuer: "https://corp.example", resourceAudience: true, keys: {secretRef: {name: a, key: b}}}]`
	if _, err := compileBoth(t, []decision.Policy{parse(t, "a", no)}); err == nil || !strings.Contains(err.Error(), "spec.issuers[0].resourceAudience: is true, but the policy has no spec.resource") {
		t.Error(err)
	}
	const query = `{url: "https://a.example", bearerMethods: [Query]}`
	if _, err := compileBoth(t, []decision.Policy{parse(t, "a", strings.Replace(guarded(query), "query: access_token", "query: token", 1))}); err == nil {
		t.Error("a query parameter that is not access_token is taken for RFC 6750's")
	}
}

// Of several policies, the one whose path is the longest is the one that a request is told of.
func TestResourceOfAPath(t *testing.T) {
	t.Parallel()
	var policies []decision.Policy
	for name, url := range map[string]string{"a": "https://a.example/mcp", "b": "https://a.example/mcp/admin", "c": "https://a.example/other", "d": "https://d.example/mcp"} {
		policies = append(policies, parse(t, name, guarded(`{url: "`+url+`"}`)))
	}
	p, err := compileBoth(t, policies)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/mcp": "a", "/mcp/": "a", "/mcp/x": "a", "/mcp/admin": "b", "/mcp/admin/x": "b", "/mcp/administrator": "a", "/other": "c", "/mcpx": "a", "/": "a",
	} {
		if got := p.ResourceOf(path).Policy; got != "shop/"+want {
			t.Errorf("%s is of %s; want %s", path, got, want)
		}
	}
	if got := p.MetadataAt("/.well-known/oauth-protected-resource/mcp").Policy; got != "shop/a" {
		t.Errorf("the same path twice: %s", got)
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	p := compile(t, corp+`rules:
- {name: boss, allow: {subjects: [boss]}}
- {name: half, match: [{methods: [GET], headers: [{name: X-A, exists: true}]}], allow: {scopes: [h]}}
- {name: read, match: [{methods: [GET]}], allow: {scopes: [a]}}
- {name: read-more, match: [{methods: [GET], paths: [/more]}], allow: {scopes: [b, c]}}
- {name: timed, match: [{methods: [PATCH]}], allow: {scopes: [t], when: "request.port == 1"}}
- {name: any, match: [{methods: [DELETE]}], allow: {authenticated: true}}
- {name: never, match: [{methods: [PUT]}], deny: {scopes: [never]}}
`)
	for line, want := range map[string][]string{
		"GET /": {"a"}, "GET /more": {"a"}, "DELETE /": nil, "PUT /": nil, "PATCH /": nil,
	} {
		if got := p.Needs(request(t, line)); !cmp.Equal(got, want) {
			t.Errorf("%s: %v; want %v", line, got, want)
		}
	}
	if got := p.Needs(request(t, "GET /", "X-A: 1")); !cmp.Equal(got, []string{"h"}) {
		t.Errorf("with a header: %v", got)
	}
}
