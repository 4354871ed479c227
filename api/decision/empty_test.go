package decision_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// full has every field that has a list, an object or a text.
const full = `
mode: Enforce
issuers:
- name: corp
  issuer: https://corp.example
  audiences: [orders]
  keys: {secretRef: {name: a, key: b}}
  algorithms: [HS256]
  types: [JWT]
  from: [{header: Authorization, prefix: "Bearer "}, {cookie: a}, {query: b}, {webSocketProtocol: c}]
  decryption: {secretRef: {name: a, key: b}}
  requiredClaims: [sub]
  clockSkew: 1s
  maxAge: 1h
- name: url
  issuer: https://url.example
  audiences: [orders]
  keys: {jwksURL: "https://url.example/jwks"}
  caSecretRef: {name: a, key: b}
- {name: discovery, issuer: "https://d.example", anyAudience: true, keys: {discovery: {url: "https://d.example/x"}}}
- {name: inline, issuer: "https://i.example", anyAudience: true, keys: {jwks: '{"keys":[{"kty":"RSA"}]}'}}
- {name: map, issuer: "https://m.example", anyAudience: true, keys: {configMapRef: {name: a, key: b}}}
rules:
- name: all
  match: [{hosts: [a.example], paths: ["/a/{x}"], methods: [GET], ports: [80], headers: [{name: X-A, values: [a]}, {name: X-B, exists: true}]},
    {notHosts: [b.example], notPaths: [/b], notMethods: [PUT], notPorts: [81], remoteIPs: [10.0.0.0/8], notRemoteIPs: [10.9.0.0/16], paths: ["/{x}"],
    headers: [{name: X-C, patterns: ["a*"], notValues: [ab], notPatterns: ["*c"]}], mcp: {methods: [tools/call], names: [a]}}]
  allow:
    issuers: [corp]
    subjects: [ann]
    scopes: [a]
    claims:
    - {claim: a, anyOf: [b]}
    - {claim: a, allOf: [b]}
    - {claim: a, noneOf: [b]}
    - {claim: a, equals: b}
    - {claim: a, patterns: ["b*"]}
    - {claim: a, notPatterns: ["*c"]}
    - {claim: a, matches: b}
    - {claim: a, greaterThan: 1}
    when: path.x == claims.sub
    maxBody: 1Mi
- {name: deny, match: [{paths: [/x]}], deny: {issuers: [corp], subjects: [ann], scopes: [a], claims: [{claim: a, exists: true}], when: 'now.getHours() < 6'}}
forward: {token: Strip, headers: [{name: X-User, claim: sub, format: CSV}], payloadHeader: X-P}
paths: {encodedSlash: Keep, forward: AsSent}
streams: {onExpiry: Close}
resource: {url: "https://a.example/x", name: A, documentation: "https://a.example/doc", policy: "https://a.example/p", termsOfService: "https://a.example/t",
  authorizationServers: [url], scopes: [a], bearerMethods: [Header]}
`

// everywhere calls visit for each value below v, with the means to replace it.
func everywhere(path string, v any, visit func(path string, v any, replace func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			at := path + "." + k
			visit(at, child, func(n any) { v[k] = n })
			everywhere(at, child, visit)
		}
	case []any:
		for i, child := range v {
			at := fmt.Sprintf("%s[%d]", path, i)
			visit(at, child, func(n any) { v[i] = n })
			everywhere(at, child, visit)
		}
	}
}

// TestEmptyEverywhere puts null, an empty object, an empty list and an empty text in the place of every value. An empty
// list is never taken for a list that is left out, nothing panics, and what compiles decides.
func TestEmptyEverywhere(t *testing.T) {
	t.Parallel()
	compile(t, full)
	var root map[string]any
	if err := yaml.Unmarshal([]byte(full), &root); err != nil {
		t.Fatal(err)
	}
	everywhere("spec", root, func(path string, old any, replace func(any)) {
		_, list := old.([]any)
		for _, empty := range []any{nil, map[string]any{}, []any{}, "", []any{nil}, []any{map[string]any{}}, []any{""}} {
			replace(empty)
			data, err := json.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			var spec policy.Spec
			if json.Unmarshal(data, &spec) != nil {
				continue // of another type: the decoder refuses it
			}
			p, err := decision.Compile([]decision.Policy{{Namespace: "n", Name: "a", Spec: spec}})
			if l, ok := empty.([]any); ok && len(l) == 0 && list && err == nil {
				t.Errorf("%s: an empty list is taken", path)
			}
			fieldErrors(t, err)
			if err == nil {
				r := request(t, "GET /")
				if d := decide(t, p, r, nil); d.Allowed {
					t.Errorf("%s: %v opens the policy: %+v", path, empty, d)
				}
			}
		}
		replace(old)
	})
}
