package gate_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// manyRules are policies with n rules in all, 200 in each, every rule with a path, methods and claims.
func manyRules(n int) []bundle.Object {
	var out []bundle.Object
	for from := 0; from < n; from += 200 {
		spec := policy.Spec{Issuers: []policy.Issuer{corp.Policy("corp")}}
		for i := from; i < min(n, from+200); i++ {
			spec.Rules = append(spec.Rules, policy.Rule{
				Name:  fmt.Sprintf("r%d", i),
				Match: []policy.Match{{Paths: []string{fmt.Sprintf("/service-%d/orders/{id}", i)}, Methods: []string{"GET", "PUT"}}},
				Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}},
			})
		}
		spec.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}}}
		out = append(out, gatetest.Policy(fmt.Sprintf("p%d", from), spec))
	}
	return out
}

// longToken is a token of about 800 bytes.
func longToken(now time.Time) string {
	return corp.Token(now, map[string]any{
		"scope": "orders.read orders.write", "jti": "8d1f6a34-1d1c-4bb5-9f0f-1e0d6b4f6a11", "sid": "08a5019c-17e1-4977-8f42-65a12843ea02",
		"realm_access": map[string]any{"roles": []string{"reader", "admin", "offline_access", "uma_authorization"}},
		"email":        "alice@example.com", "name": strings.Repeat("Alice of Wonderland ", 8),
	})
}

// request asks for a place that a rule among n is about.
func cachedRequest(n int, token string) *gate.Request {
	return get(fmt.Sprintf("/service-%d/orders/77?page=2", n/2), "Authorization", "Bearer "+token, "Accept", "*/*", "User-Agent", "curl/8.5.0",
		"X-Request-Id", "1")
}

// parsed is a header as a relay has it: a list of fields in the order in which they came.
type parsed struct {
	fields []gate.Field
	values []string
}

func (p *parsed) Values(name string) []string {
	p.values = p.values[:0]
	for i := range p.fields {
		if p.fields[i].Name == name {
			p.values = append(p.values, p.fields[i].Value)
		}
	}
	return p.values
}

func BenchmarkJudgeCached(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		g := gate.New(gate.Options{})
		g.Swap(gatetest.Snapshot(b, time.Now, manyRules(n)...))
		r := cachedRequest(n, longToken(time.Now()))
		r.Time = time.Now()
		relayed := *r
		relayed.Header = asParsed(r.Header.(http.Header))
		for name, r := range map[string]*gate.Request{"http.Header": r, "parsed": &relayed} {
			b.Run(fmt.Sprintf("rules=%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if v := g.Judge(r); v.Reason != decision.Allowed {
						b.Fatal(v.Reason)
					}
				}
			})
		}
	}
}

func asParsed(h http.Header) *parsed {
	p := &parsed{}
	for name, values := range h {
		for _, v := range values {
			p.fields = append(p.fields, gate.Field{Name: name, Value: v})
		}
	}
	return p
}

func BenchmarkJudgeCachedParallel(b *testing.B) {
	g := gate.New(gate.Options{})
	g.Swap(gatetest.Snapshot(b, time.Now, manyRules(10)...))
	token := longToken(time.Now())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := cachedRequest(10, token)
		for pb.Next() {
			if v := g.Judge(r); v.Reason != decision.Allowed {
				b.Error(v.Reason)
			}
		}
	})
}

// BenchmarkJudgeFirstSeen verifies each token anew: nothing is cached.
func BenchmarkJudgeFirstSeen(b *testing.B) {
	s, err := gate.NewSnapshot(gatetest.Bundle(b, manyRules(10)...), "test", gate.SnapshotOptions{CacheBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	g := gate.New(gate.Options{})
	g.Swap(s)
	r := cachedRequest(10, longToken(time.Now()))
	r.Header = asParsed(r.Header.(http.Header))
	b.ReportAllocs()
	for b.Loop() {
		if v := g.Judge(r); v.Reason != decision.Allowed {
			b.Fatal(v.Reason)
		}
	}
}
