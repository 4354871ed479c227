package decision_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

// TestNoAllocs is not parallel: it counts allocations.
func TestNoAllocs(t *testing.T) {
	p := compile(t, append(manyRules(1000), corp+`
rules:
- {name: hosts, match: [{hosts: ["*.example", other.example], methods: [POST], paths: ["/a/*"]}], allow: {scopes: [missing]}}
- {name: headers, match: [{headers: [{name: X-Kind, values: [a]}], ports: [8080]}], deny: {subjects: [mallory]}}
- {name: not, match: [{paths: ["/n/**/z*", "/n/*.json"], notPaths: ["/n/**/zz"], notHosts: ["*.x"], notMethods: [PUT], notPorts: [1], remoteIPs: [10.0.0.0/8], notRemoteIPs: [10.9.0.0/16], headers: [{name: X-Kind, patterns: ["a*"], notValues: [b], notPatterns: ["*c"]}]}], allow: {authenticated: true, maxBody: 1Ki, claims: [{claim: sub, patterns: ["a*"]}]}}
- {name: log-in, match: [{paths: ["/log-in/{x}"]}], allow: {authentication: {acr: [a], maxAge: 5m}}}
- {name: claims-only, match: [{paths: [/cel]}], allow: {when: 'claims.sub == "ann"'}}
`, "mode: Audit"+corp+`
rules: [{name: gets, match: [{methods: [GET]}], allow: {authenticated: true}}, {name: x, match: [{paths: [/cel]}], deny: {}}, {name: scope, allow: {scopes: [missing]}}]
`)...)
	s := benchmarkSubject(t, p)
	for _, line := range []string{"GET /service-7/orders/1", "POST a.example/a/b", "GET /nowhere", "GET /cel", "GET /n/a/b/z1", "GET /n/a.json", "GET /log-in/a"} {
		r := request(t, line, "X-Kind: a1, a2")
		if n := testing.AllocsPerRun(100, func() { p.Decide(r, s) }); n != 0 {
			t.Errorf("Decide %s allocates %v times", line, n)
		}
		if n := testing.AllocsPerRun(100, func() { p.Decide(r, nil) }); n != 0 {
			t.Errorf("Decide %s without a token allocates %v times", line, n)
		}
	}
	for _, path := range []string{"/", "/a/b.c/d/", "/%C3%A4/%20", "/a%3Fb", "/a=b+c"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = decision.ReadPath(path, decision.PathOptions{}) }); n != 0 {
			t.Errorf("ReadPath(%q) allocates %v times", path, n)
		}
	}
	for _, host := range []string{"api.example.com", "api.example.com:8080", "api.example.com."} {
		if n := testing.AllocsPerRun(100, func() { _, _ = decision.CanonicalHost(host) }); n != 0 {
			t.Errorf("CanonicalHost(%q) allocates %v times", host, n)
		}
	}
}
