package decision_test

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestIntrospectionIsChecked(t *testing.T) {
	t.Parallel()
	const ref = `credentialsSecretRef: {name: s}`
	for issuer, want := range map[string]string{
		`issuer: "https://a", introspection: {discovery: {}, ` + ref + `}`:                                                                   ``,
		`issuer: "https://a", introspection: {url: "https://a/i", ` + ref + `, cacheTTL: 1s, auth: MTLS}, caSecretRef: {name: a, key: b}`:    ``,
		`anyIssuer: true, introspection: {url: "https://a/i", ` + ref + `}`:                                                                  ``,
		`issuer: "https://a", keys: {discovery: {}}, algorithms: [ES256], introspection: {discovery: {}, signedResponse: true, ` + ref + `}`: ``,
		`issuer: "https://a", introspection: {` + ref + `}`:                                                                                  `spec.issuers[0].introspection: has url and discovery, or neither`,
		`issuer: "https://a", introspection: {url: "https://a/i", discovery: {}, ` + ref + `}`:                                               `spec.issuers[0].introspection: has url and discovery, or neither`,
		`issuer: "https://a", introspection: {url: "ftp://a", ` + ref + `}`:                                                                  `spec.issuers[0].introspection.url: has scheme "ftp"`,
		`issuer: "https://a", introspection: {url: "https://u:p@a", ` + ref + `}`:                                                            `spec.issuers[0].introspection.url: has user information`,
		`issuer: "a", introspection: {discovery: {}, ` + ref + `}`:                                                                           `spec.issuers[0].issuer: has scheme`,
		`anyIssuer: true, introspection: {discovery: {}, ` + ref + `}`:                                                                       `spec.issuers[0].introspection.discovery: needs a name`,
		`issuer: "https://a", introspection: {url: "https://a/i", credentialsSecretRef: {name: ""}}`:                                         `spec.issuers[0].introspection.credentialsSecretRef.name: "" is no name`,
		`issuer: "https://a", introspection: {url: "https://a/i", auth: None, ` + ref + `}`:                                                  `spec.issuers[0].introspection.auth: "None" is no method`,
		`issuer: "https://a", introspection: {url: "https://a/i", cacheTTL: 0s, ` + ref + `}`:                                                `spec.issuers[0].introspection.cacheTTL: is 0s; want 1s to 10m`,
		`issuer: "https://a", introspection: {url: "https://a/i", cacheTTL: 11m, ` + ref + `}`:                                               `spec.issuers[0].introspection.cacheTTL: is 11m0s; want 1s to 10m`,
		`issuer: "https://a", introspection: {url: "https://a/i", ` + ref + `}, types: [at+jwt]`:                                             `spec.issuers[0].types: is about tokens that the sidecar reads itself`,
		`issuer: "https://a", introspection: {url: "https://a/i", ` + ref + `}, profile: RFC9068`:                                            `spec.issuers[0].profile: is about tokens`,
		`issuer: "https://a", introspection: {url: "https://a/i", ` + ref + `}, decryption: {secretRef: {name: a, key: b}}`:                  `spec.issuers[0].decryption: is about tokens`,
		`issuer: "https://a", introspection: {url: "https://a/i", ` + ref + `}, algorithms: [ES256]`:                                         `spec.issuers[0].algorithms: is about tokens`,
		`issuer: "https://a", introspection: {url: "https://a/i", ` + ref + `}, keys: {discovery: {}}`:                                       `spec.issuers[0].keys: is about tokens`,
		`issuer: "https://a", introspection: {url: "https://a/i", signedResponse: true, ` + ref + `}`:                                        `spec.issuers[0].introspection.signedResponse: is true, but there are no keys`,
		`anyIssuer: true, keys: {secretRef: {name: a, key: b}}, introspection: {url: "https://a/i", signedResponse: true, ` + ref + `}`:      `spec.issuers[0].anyIssuer: is true, but signed answers`,
		`issuer: "https://a", keys: {kubernetes: {}}, introspection: {url: "https://a/i", signedResponse: true, ` + ref + `}`:                `spec.issuers[0].keys.kubernetes: are keys of a cluster`,
		`issuer: "https://a"`: `spec.issuers[0].keys: has 0 sources`,
	} {
		text := "issuers: [{name: a, audiences: [x], " + issuer + "}]\nrules: [{name: r, allow: {authenticated: true}}]"
		_, err := compileBoth(t, []decision.Policy{parse(t, "a", text)})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", issuer, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v; want %s", issuer, err, want)
		}
	}
}
