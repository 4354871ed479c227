package convert_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
)

// programOf compiles the converted policies that select a pod.
func programOf(t *testing.T, policies []convert.Policy, labels map[string]string) *decision.Program {
	t.Helper()
	var selected []decision.Policy
	for _, p := range policies {
		s := selector{MatchLabels: p.Spec.Selector.MatchLabels}
		if s.fits(labels) {
			selected = append(selected, decision.Policy{Namespace: p.Metadata.Namespace, Name: p.Metadata.Name, Spec: p.Spec.Spec})
		}
	}
	program, err := decision.Compile(selected)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// decide asks a program what a sidecar would, whose keys are those of the issuers.
func decide(program *decision.Program, a asked) decision.Decision {
	path, err := decision.ReadPath(a.path, program.PathOptions())
	if err != nil {
		return decision.Decision{}
	}
	host, err := decision.CanonicalHost(a.host)
	if err != nil {
		return decision.Decision{}
	}
	port, _ := strconv.Atoi(a.port)
	r := decision.Request{Method: a.method, Host: host, Path: path.Match, Readings: path.Readings, Port: port, Remote: a.ip, Header: http.Header{}, Now: time.Now()}
	for k, v := range a.header {
		r.Header.(http.Header).Set(k, v)
	}
	if a.claims == nil {
		return program.Decide(&r, nil)
	}
	var verified decision.IssuerSet
	for i, is := range program.Issuers() {
		if is.Spec.Issuer == a.claims["iss"] && meantFor(is.Spec.Audiences, a.claims["aud"]) {
			verified = verified.With(i)
		}
	}
	if verified == 0 {
		return decision.Decision{}
	}
	return program.Decide(&r, program.Bind(decision.Claims(a.claims), verified))
}

// meantFor reports whether a token's audiences have one of those wanted, if any are.
func meantFor(want []string, aud any) bool {
	if len(want) == 0 {
		return true
	}
	if text, one := aud.(string); one {
		return slices.Contains(want, text)
	}
	list, _ := aud.([]any)
	return slices.ContainsFunc(list, func(a any) bool { text, _ := a.(string); return slices.Contains(want, text) })
}

func run(t *testing.T, in []byte) convert.Result {
	t.Helper()
	r, err := convert.Run([]convert.File{{Name: "istio.yaml", Data: in}}, convert.Options{Namespace: "shop"})
	if err != nil {
		t.Fatalf("%v\n%s", err, in)
	}
	return r
}

// jwtTable is after what Istio's own tests ask of its policies for tokens, paths and conditions.
const jwtTable = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens}
spec:
  jwtRules:
  - {issuer: one@issuer.example, jwksUri: "https://issuer.example/jwks"}
  - {issuer: two@issuer.example, jwksUri: "https://issuer.example/jwks"}
---
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata: {name: app}
spec:
  selector: {matchLabels: {app: a}}
  rules:
  - {to: [{operation: {paths: [/one], methods: [GET]}}], from: [{source: {requestPrincipals: [one@issuer.example/sub-1]}}]}
  - {to: [{operation: {paths: [/group]}}], when: [{key: "request.auth.claims[groups]", values: [group-2]}]}
  - {to: [{operation: {paths: [/any]}}], from: [{source: {requestPrincipals: ["*"]}}]}
  - {to: [{operation: {paths: [/scope]}}], when: [{key: "request.auth.claims[scope]", values: [append, write]}]}
  - {to: [{operation: {paths: [/nested]}}], when: [{key: "request.auth.claims[nested][key1]", values: [valueB]}]}
  - {to: [{operation: {paths: ["*/audiences"]}}], when: [{key: request.auth.audiences, values: [foo]}]}
  - {to: [{operation: {paths: ["*/presenter"]}}], when: [{key: request.auth.presenter, values: [bar]}]}
  - {to: [{operation: {paths: [/not-one]}}], from: [{source: {notRequestPrincipals: [one@issuer.example/sub-1]}}]}
  - {to: [{operation: {paths: ["/admin/{**}", "/foo/{*}/bar/{**}", "/store/{**}/cart"]}}]}
  - {to: [{operation: {paths: ["/allow*"]}}]}
  - {to: [{operation: {paths: [/header]}}], when: [{key: "request.headers[x-foo]", values: [foo]}]}
  - {to: [{operation: {paths: [/not-header]}}], when: [{key: "request.headers[x-foo]", notValues: [bar]}]}
  - {to: [{operation: {paths: [/port], ports: ["8080"]}}]}
  - {to: [{operation: {paths: [/host], hosts: ["*.example.com", "a.*"]}}]}
  - {to: [{operation: {paths: [/mesh]}}], from: [{source: {principals: ["cluster.local/ns/a/sa/b"]}}]}
  - {to: [{operation: {paths: [/mesh-not]}}], from: [{source: {notNamespaces: [evil]}}]}
  - {to: [{operation: {paths: [/remote]}}], from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}
  - {to: [{operation: {paths: [/number]}}], when: [{key: "request.auth.claims[level]", values: ["7"]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: [/allow/admin]}}]}]
`

// TestIstioTable holds converted policies to what Istio answers.
func TestIstioTable(t *testing.T) {
	t.Parallel()
	result := run(t, []byte(jwtTable))
	one := map[string]any{"iss": "one@issuer.example", "sub": "sub-1"}
	with := func(iss string, more ...any) map[string]any {
		c := map[string]any{"iss": iss + "@issuer.example", "sub": "sub-2"}
		for i := 0; i+1 < len(more); i += 2 {
			c[more[i].(string)] = more[i+1]
		}
		return c
	}
	for name, test := range map[string]struct {
		path   string
		claims map[string]any
		header map[string]string
		host   string
		port   string
		want   bool
	}{
		"no token, where one principal is let in": {path: "/one"},
		"the principal":                          {path: "/one", claims: one, want: true},
		"the principal's name at another issuer": {path: "/one", claims: map[string]any{"iss": "two@issuer.example", "sub": "sub-1"}},
		"a group":                                {path: "/group", claims: with("two", "groups", []any{"group-1", "group-2"}), want: true},
		"not the group":                          {path: "/group", claims: one},
		"any token":                              {path: "/any", claims: with("two"), want: true},
		"a token without a subject is no principal":          {path: "/any", claims: map[string]any{"iss": "one@issuer.example"}},
		"no token, where any is enough":                      {path: "/any"},
		"a scope among others, split at spaces":              {path: "/scope", claims: with("two", "scope", "read write"), want: true},
		"a scope in a list":                                  {path: "/scope", claims: with("two", "scope", []any{"append"}), want: true},
		"a scope that only begins so":                        {path: "/scope", claims: with("two", "scope", "writer")},
		"a scope in scp, which Istio does not read":          {path: "/scope", claims: with("two", "scp", []any{"write"})},
		"a nested claim":                                     {path: "/nested", claims: with("one", "nested", map[string]any{"key1": []any{"valueB"}}), want: true},
		"a nested claim of another value":                    {path: "/nested", claims: with("one", "nested", map[string]any{"key1": "valueA"})},
		"a claim that is text where an object is meant":      {path: "/nested", claims: with("one", "nested", "valueB")},
		"an audience":                                        {path: "/x/audiences", claims: with("one", "aud", "foo"), want: true},
		"an audience in a list":                              {path: "/audiences", claims: with("one", "aud", []any{"bar", "foo"}), want: true},
		"another audience":                                   {path: "/audiences", claims: with("one", "aud", "bar")},
		"a presenter":                                        {path: "/presenter", claims: with("one", "azp", "bar"), want: true},
		"another presenter":                                  {path: "/presenter", claims: with("one", "azp", "foo")},
		"not this principal: it":                             {path: "/not-one", claims: one},
		"not this principal: another":                        {path: "/not-one", claims: with("two"), want: true},
		"not this principal: nobody":                         {path: "/not-one", want: true},
		"any number of segments at the end: none":            {path: "/admin/", want: true},
		"any number of segments at the end: no slash":        {path: "/admin"},
		"any number of segments at the end: two":             {path: "/admin/foo/temp.txt", want: true},
		"one segment and any number":                         {path: "/foo/buzz/bar/bat/fuzz.txt", want: true},
		"one segment, which is missing":                      {path: "/foo/bar/bat.txt"},
		"segments between: none":                             {path: "/store/cart"},
		"segments between: one":                              {path: "/store/foo/cart", want: true},
		"segments between: two":                              {path: "/store/foo/bar/cart", want: true},
		"a path that begins so":                              {path: "/allow", want: true},
		"a path that begins so and is denied":                {path: "/allow/admin"},
		"a header":                                           {path: "/header", header: map[string]string{"x-foo": "foo"}, want: true},
		"a header of another value":                          {path: "/header", header: map[string]string{"x-foo": "bar"}},
		"a header that is missing":                           {path: "/header"},
		"a header that must not be: missing":                 {path: "/not-header", want: true},
		"a header that must not be: there":                   {path: "/not-header", header: map[string]string{"x-foo": "bar"}},
		"a port":                                             {path: "/port", want: true},
		"another port":                                       {path: "/port", port: "9090"},
		"a host below":                                       {path: "/host", host: "b.example.com", want: true},
		"a host that begins so":                              {path: "/host", host: "a.internal", want: true},
		"another host":                                       {path: "/host", host: "example.com"},
		"an identity of the mesh is not carried over":        {path: "/mesh"},
		"nor is one that must not be":                        {path: "/mesh-not"},
		"an address that a header tells is not carried over": {path: "/remote"},
		"a claim that is text":                               {path: "/number", claims: with("one", "level", "7"), want: true},
		"a claim that is a number is no text":                {path: "/number", claims: with("one", "level", json.Number("7"))},
		"nothing is said of the path":                        {path: "/else", claims: one},
		"an issuer that nobody trusts":                       {path: "/any", claims: with("three")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := asked{labels: map[string]string{"app": "a"}, host: "x.test", method: "GET", port: "8080", ip: netip.MustParseAddr("10.1.2.3"), path: test.path, claims: test.claims, header: test.header}
			if test.host != "" {
				a.host = test.host
			}
			if test.port != "" {
				a.port = test.port
			}
			if d := decide(programOf(t, result.Policies, a.labels), a); d.Allowed != test.want {
				t.Errorf("allowed %t (%s), want %t", d.Allowed, d.Reason, test.want)
			}
		})
	}
}

// family makes random policies and requests out of few values, so that they meet.
type family struct{ *rand.Rand }

func pick[T any](f family, of ...T) T { return of[f.IntN(len(of))] }

func (f family) some(of ...string) (out []string) {
	if f.IntN(3) > 0 {
		return nil
	}
	for range 1 + f.IntN(2) {
		out = append(out, pick(f, of...))
	}
	return out
}

var (
	pathValues   = []string{"/a", "/a/*", "/a*", "*.json", "*/b", "*", "/a/{*}", "/a/{**}", "/a/{**}/b", "/{*}/b", "/", "/*", "/a b", "/a%20b*", "b", "*/", "/a/"}
	subjectTexts = []string{"*", "https://one.example/ann", "https://one.example/*", "https://two.example/a*", "*/bob", "https://one*", "*nn", "*.example/ann", "https://x.example/ann", "https://one.example/*n*", "plain"}
	claimTexts   = []string{"a", "b", "a*", "*b", "*", "7", "true", "a*b"}
	blockTexts   = []string{"10.0.0.0/8", "10.1.0.0/16", "192.0.2.7"}
)

func (f family) rule() (r accessRule) {
	for range f.IntN(3) {
		var from struct {
			Source source `json:"source"`
		}
		s := &from.Source
		s.RequestPrincipals, s.NotRequestPrincipals = f.some(subjectTexts...), f.some(subjectTexts...)
		s.IPBlocks, s.NotIPBlocks = f.some(blockTexts...), f.some(blockTexts...)
		if f.IntN(8) == 0 {
			s.Principals, s.NotPrincipals = f.some("mesh/a", "mesh/*", "*"), f.some("mesh/a", "mesh/*")
		}
		if f.IntN(16) == 0 {
			s.RemoteIPBlocks = f.some(blockTexts...)
		}
		r.From = append(r.From, from)
	}
	for range f.IntN(3) {
		var to struct {
			Operation operation `json:"operation"`
		}
		o := &to.Operation
		o.Paths, o.NotPaths = f.some(pathValues...), f.some(pathValues...)
		o.Hosts, o.NotHosts = f.some("a.example", "*.example", "a.*", "*e", "*", "A.Example"), f.some("a.example", "*.example", "a.*")
		o.Methods, o.NotMethods = f.some("GET", "P*", "*T", "*"), f.some("GET", "PO*")
		o.Ports, o.NotPorts = f.some("80", "8080"), f.some("80")
		r.To = append(r.To, to)
	}
	for range f.IntN(3) {
		key := pick(f, "request.headers[x-a]", "request.auth.claims[c]", "request.auth.claims[scope]", "request.auth.claims[n][c]", "request.auth.principal",
			"request.auth.audiences", "source.ip", "destination.port")
		values := claimTexts
		switch key {
		case "request.auth.principal":
			values = subjectTexts
		case "source.ip":
			values = blockTexts
		case "destination.port":
			values = []string{"80", "8080"}
		}
		if c := (condition{key, f.some(values...), f.some(values...)}); c.Values != nil || c.NotValues != nil {
			r.When = append(r.When, c)
		}
	}
	return r
}

func (f family) selector() *selector {
	return pick(f, nil, &selector{map[string]string{"app": "a"}}, &selector{map[string]string{"app": "b"}}, &selector{map[string]string{"v": "1"}}, &selector{map[string]string{"app": "a", "v": "1"}})
}

func (f family) objects() (trust []trustObject, access []accessObject) {
	for i := range f.IntN(3) {
		var o trustObject
		o.APIVersion, o.Kind, o.Metadata.Name = "security.istio.io/v1", "RequestAuthentication", fmt.Sprintf("t%d", i)
		o.Spec.Selector = f.selector()
		for range 1 + f.IntN(2) {
			o.Spec.JWTRules = append(o.Spec.JWTRules, jwtRule{pick(f, "https://one.example", "https://two.example"), "https://keys.example/jwks"})
		}
		trust = append(trust, o)
	}
	for i := range f.IntN(4) {
		o := accessObject{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Metadata: meta{Name: fmt.Sprintf("a%d", i)}}
		o.Spec.Selector = f.selector()
		o.Spec.Action = pick(f, "", "ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "AUDIT", "CUSTOM")
		for range f.IntN(3) {
			o.Spec.Rules = append(o.Spec.Rules, f.rule())
		}
		access = append(access, o)
	}
	return trust, access
}

func (f family) claim() any {
	return pick[any](f, nil, "a", "b", "ab", "a b", "xb", "", "7", "true", "axb", "a*b", json.Number("7"), true, []any{"a", "x"}, []any{json.Number("7")}, []any{}, map[string]any{"c": "a"})
}

func (f family) request() asked {
	a := asked{
		labels: pick(f, map[string]string{"app": "a", "v": "1"}, map[string]string{"app": "a"}, map[string]string{"app": "b", "v": "2"}, map[string]string{}),
		host:   pick(f, "a.example", "b.example", "a.b", "example", "x.test"), method: pick(f, "GET", "POST", "PUT", "HEAD"),
		path: pick(f, "/", "/a", "/a/", "/ab", "/a/b", "/a/b/", "/a/x/y/b", "/x/b", "/a/x.json", "/x.json", "/c", "/b", "/a%20b"), peer: pick(f, "", "mesh/a", "mesh/b"),
		port: pick(f, "80", "8080"), ip: netip.MustParseAddr(pick(f, "10.1.2.3", "10.2.3.4", "192.0.2.7", "192.0.2.8")), header: map[string]string{},
	}
	if f.IntN(2) == 0 {
		a.header["x-a"] = pick(f, "a", "b", "ab", "7", "xb", "a*b")
	}
	if f.IntN(4) > 0 {
		a.claims = map[string]any{"iss": pick(f, "https://one.example", "https://two.example")}
		for _, name := range []string{"c", "scope", "n"} {
			if c := f.claim(); c != nil {
				a.claims[name] = c
			}
		}
		a.claims["aud"] = pick[any](f, "a", []any{"b", "x"})
		if f.IntN(4) > 0 {
			a.claims["sub"] = pick(f, "ann", "bob", "al")
		}
	}
	return a
}

// TestNeverWider converts random policies, and asks that what Istio refuses be refused; and that most of what it lets in is let in, so that
// the test does not hold by refusing all.
func TestNeverWider(t *testing.T) {
	t.Parallel()
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	let, kept := 0, 0
	for seed := range rounds {
		f := family{rand.New(rand.NewPCG(uint64(seed), 7))}
		trust, access := f.objects()
		if len(trust)+len(access) == 0 {
			continue
		}
		in := manifests(trust, access)
		result := run(t, in)
		programs := map[string]*decision.Program{}
		for range 100 {
			a := f.request()
			pod := fmt.Sprint(a.labels)
			if programs[pod] == nil {
				programs[pod] = programOf(t, result.Policies, a.labels)
			}
			want, got := istioAllows(trust, access, a), decide(programs[pod], a)
			if got.Allowed && got.Reason != decision.AuditOnly && !want {
				text, _ := json.MarshalIndent(result, "", " ")
				t.Fatalf("seed %d: Istio refuses, rule %s of %s allows: %+v\n%s\n%s", seed, got.Rule, got.Policy, a, in, text)
			}
			if got.Reason == decision.AuditOnly {
				t.Fatalf("seed %d: a pod has policies in mode Audit alone: %+v\n%s", seed, a, in)
			}
			if want {
				let++
				if got.Allowed {
					kept++
				}
			}
		}
	}
	t.Logf("of %d requests that Istio lets in, %d are let in", let, kept)
	if kept*10 < let*5 {
		t.Errorf("of %d requests that Istio lets in, only %d are let in", let, kept)
	}
}
