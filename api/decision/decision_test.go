package decision_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// corp is an issuer that most tests use.
const corp = `
issuers:
- {name: corp, issuer: https://corp.example, audiences: [orders], keys: {kubernetes: {}}}
- {name: partner, issuer: https://partner.example, audiences: [orders], keys: {kubernetes: {}}}
`

// parse reads a spec from YAML.
func parse(t testing.TB, name, text string) decision.Policy {
	t.Helper()
	var spec policy.Spec
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatalf("parse the spec of %s: %v", name, err)
	}
	return decision.Policy{Namespace: "shop", Name: name, Spec: spec}
}

// compile compiles policies; their names are a, b, c and so on.
func compile(t testing.TB, specs ...string) *decision.Program {
	t.Helper()
	policies := make([]decision.Policy, len(specs))
	for i, s := range specs {
		policies[i] = parse(t, string(rune('a'+i)), s)
	}
	p, err := decision.Compile(policies)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	return p
}

// claims reads a token's payload.
func claims(t testing.TB, text string) decision.Claims {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var c decision.Claims
	if err := d.Decode(&c); err != nil {
		t.Fatalf("parse claims: %v", err)
	}
	return c
}

// request makes a request from "GET /path?query" or "GET host/path?query".
func request(t testing.TB, line string, headers ...string) *decision.Request {
	t.Helper()
	method, target, _ := strings.Cut(line, " ")
	i := strings.IndexByte(target, '/')
	host, target := target[:i], target[i:]
	if host == "" {
		host = "orders.example"
	}
	path, query, _ := strings.Cut(target, "?")
	h := http.Header{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return &decision.Request{
		Method: method, Host: host, Path: path, RawQuery: query, Header: h, Port: 8080,
		Remote: netip.MustParseAddr("10.1.2.3"), Now: time.Date(2026, 11, 25, 5, 30, 0, 0, time.UTC),
	}
}

// verified is the set of all issuers of a policy.
func verified(p *decision.Program, policyID string) decision.IssuerSet {
	var set decision.IssuerSet
	for i, issuer := range p.Issuers() {
		if issuer.Policy == policyID {
			set = set.With(i)
		}
	}
	return set
}

// decide decides and checks that Explain agrees.
func decide(t testing.TB, p *decision.Program, r *decision.Request, s *decision.Subject) decision.Decision {
	t.Helper()
	d := p.Decide(r, s)
	checkExplain(t, p, r, s, d)
	return d
}
