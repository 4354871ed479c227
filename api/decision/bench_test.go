package decision_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

// manyRules returns specs with n rules in all, at most 200 in each, with a path, a method and claims each.
func manyRules(n int) []string {
	var specs []string
	for start := 0; start < n; start += 200 {
		var b strings.Builder
		b.WriteString("issuers: [{name: corp, issuer: https://corp.example, audiences: [orders], keys: {kubernetes: {}}}]\nrules:\n")
		for i := start; i < min(n, start+200); i++ {
			fmt.Fprintf(&b, "- name: r%d\n  match: [{paths: [\"/service-%d/orders/{id}\"], methods: [GET, PUT]}]\n"+
				"  allow: {scopes: [read], claims: [{claim: roles, anyOf: [r%d, admin]}]}\n", i, i, i)
		}
		specs = append(specs, b.String())
	}
	return specs
}

func benchmarkSubject(tb testing.TB, p *decision.Program) *decision.Subject {
	var all decision.IssuerSet
	for i := range p.Issuers() {
		all = all.With(i)
	}
	return p.Bind(claims(tb, `{"iss":"https://corp.example","sub":"ann","scope":"read write","roles":["admin"],"acr":"a","auth_time":1795584600}`), all)
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			p := compile(b, manyRules(n)...)
			s := benchmarkSubject(b, p)
			r := request(b, fmt.Sprintf("GET /service-%d/orders/77", n/2))
			b.ReportAllocs()
			for b.Loop() {
				if d := p.Decide(r, s); !d.Allowed {
					b.Fatal(d.Reason)
				}
			}
		})
	}
}

func BenchmarkDecideCEL(b *testing.B) {
	p := compile(b, corp+`
rules:
- name: own
  match: [{paths: ["/users/{user}/**"]}]
  allow: {when: 'path.user == claims.sub'}
`)
	s := p.Bind(claims(b, `{"sub":"ann"}`), 1)
	r := request(b, "GET /users/ann/x")
	b.ReportAllocs()
	for b.Loop() {
		if d := p.Decide(r, s); !d.Allowed {
			b.Fatal(d.Reason)
		}
	}
}

func BenchmarkBind(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			p := compile(b, manyRules(n)...)
			c := claims(b, `{"iss":"https://corp.example","sub":"ann","scope":"read write","roles":["admin"]}`)
			b.ReportAllocs()
			for b.Loop() {
				p.Bind(c, 1)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for name, spec := range map[string]string{
		"structured": manyRules(200)[0],
		"cel":        corp + "rules: [{name: own, match: [{paths: ['/users/{user}/**']}], allow: {when: 'path.user == claims.sub'}}]",
	} {
		policies := []decision.Policy{parse(b, "a", spec)}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decision.Compile(policies); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadPath(b *testing.B) {
	for name, raw := range map[string]string{
		"plain": "/api/v1/orders/77", "escaped": "/api/v1/%C3%A4%20b/77", "reserved": "/api/v1/a%2Bb/77", "rewritten": "//api/./v1/%61/../b",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decision.ReadPath(raw, decision.PathOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecideShapes has 1,000 rules that differ in one field alone.
func BenchmarkDecideShapes(b *testing.B) {
	for name, match := range map[string]string{
		"hosts":   `{hosts: ["h%d.example"]}`,
		"paths":   `{paths: ["/p%d/**"]}`,
		"claims":  `{methods: [GET], paths: ["/**"]}`,
		"not":     `{paths: ["/p%d/**"], notMethods: [PUT], notPaths: ["/*/y"], notHosts: [x.example], notRemoteIPs: [192.0.2.0/24]}`,
		"starts":  `{paths: ["/p%d*/**"]}`,
		"ends":    `{paths: ["/**/p%d/x"]}`,
		"texts":   `{paths: ["/p%d/**"], headers: [{name: X-A, patterns: ["a*"]}]}`,
		"headers": `{paths: ["/p%d/**"], headers: [{name: X-A, values: [a]}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			var specs []string
			for n := 0; n < 1000; n += 200 {
				var s strings.Builder
				s.WriteString("issuers: [{name: corp, issuer: https://corp.example, audiences: [orders], keys: {kubernetes: {}}}]\nrules:\n")
				for i := n; i < n+200; i++ {
					m := match
					if strings.Contains(match, "%d") {
						m = fmt.Sprintf(match, i)
					}
					fmt.Fprintf(&s, "- {name: r%d, match: [%s], allow: {claims: [{claim: roles, anyOf: [r%d, admin]}]}}\n", i, m, i)
				}
				specs = append(specs, s.String())
			}
			p := compile(b, specs...)
			s := benchmarkSubject(b, p)
			r := request(b, "GET h500.example/p500/x", "X-A: a")
			b.ReportAllocs()
			for b.Loop() {
				if d := p.Decide(r, s); !d.Allowed {
					b.Fatal(d.Reason)
				}
			}
		})
	}
}
