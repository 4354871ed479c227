package convert_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
)

// The types below are what of a SecurityPolicy the test makes; gatewayAllows says what Envoy Gateway makes of it, as its API's comments and
// its translator have it, in the plainest way. They share nothing with the converter.
type securityObject struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Metadata   meta         `json:"metadata"`
	Spec       securitySpec `json:"spec"`
}

type securitySpec struct {
	TargetRefs    []map[string]string `json:"targetRefs"`
	JWT           *gatewayJWT         `json:"jwt,omitempty"`
	APIKeyAuth    *struct{}           `json:"apiKeyAuth,omitempty"`
	Authorization *gatewayAccess      `json:"authorization,omitempty"`
}

type gatewayJWT struct {
	Optional  bool              `json:"optional,omitempty"`
	FailOpen  bool              `json:"failOpen,omitempty"`
	Providers []gatewayProvider `json:"providers"`
}

type gatewayAccess struct {
	DefaultAction string        `json:"defaultAction,omitempty"`
	Rules         []gatewayRule `json:"rules,omitempty"`
}

type gatewayProvider struct {
	Name       string            `json:"name"`
	Issuer     string            `json:"issuer"`
	Audiences  []string          `json:"audiences,omitempty"`
	RemoteJWKS map[string]string `json:"remoteJWKS"`
}

type gatewayRule struct {
	Name      string            `json:"name,omitempty"`
	Action    string            `json:"action"`
	CEL       string            `json:"cel,omitempty"`
	Operation *gatewayOperation `json:"operation,omitempty"`
	Principal *gatewayPrincipal `json:"principal,omitempty"`
}

type gatewayOperation struct {
	Methods []string     `json:"methods,omitempty"`
	Path    *gatewayPath `json:"path,omitempty"`
}

type gatewayPath struct {
	Type   string `json:"type,omitempty"`
	Value  string `json:"value"`
	Invert bool   `json:"invert,omitempty"`
}

type gatewayPrincipal struct {
	ClientCIDRs []string        `json:"clientCIDRs,omitempty"`
	Headers     []gatewayHeader `json:"headers,omitempty"`
	JWT         *jwtPrincipal   `json:"jwt,omitempty"`
}

type jwtPrincipal struct {
	Provider string         `json:"provider"`
	Scopes   []string       `json:"scopes,omitempty"`
	Claims   []gatewayClaim `json:"claims,omitempty"`
}

type gatewayHeader struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

type gatewayClaim struct {
	Name      string   `json:"name"`
	ValueType string   `json:"valueType,omitempty"`
	Values    []string `json:"values"`
}

// gatewayAllows is Envoy Gateway's verdict. What a key would be asked for is refused.
func gatewayAllows(s securitySpec, a asked) bool {
	verified := map[string]bool{}
	if s.APIKeyAuth != nil {
		return false
	}
	if jwt := s.JWT; jwt != nil {
		for _, p := range jwt.Providers {
			if a.claims != nil && p.Issuer == a.claims["iss"] && meantFor(p.Audiences, a.claims["aud"]) {
				verified[p.Name] = true
			}
		}
		if len(verified) == 0 && !jwt.FailOpen && (a.claims != nil || !jwt.Optional) {
			return false
		}
	}
	if s.Authorization == nil {
		return s.JWT != nil
	}
	for _, r := range s.Authorization.Rules {
		if r.fits(a, verified) {
			return r.Action == "Allow"
		}
	}
	return s.Authorization.DefaultAction == "Allow"
}

func (r gatewayRule) fits(a asked, verified map[string]bool) bool {
	if r.CEL != "" && a.peer != "10.1.1.1" { // of which a sidecar knows nothing
		return false
	}
	if o := r.Operation; o != nil {
		if len(o.Methods) > 0 && !slices.ContainsFunc(o.Methods, func(m string) bool { return strings.EqualFold(m, a.method) }) {
			return false
		}
		if o.Path != nil && o.Path.Invert == onGatewayPath(o.Path.Type, o.Path.Value, a.path) {
			return false
		}
	}
	p := r.Principal
	if p == nil {
		return true
	}
	if len(p.ClientCIDRs) > 0 && !slices.ContainsFunc(p.ClientCIDRs, func(c string) bool { return netip.MustParsePrefix(c).Contains(netip.MustParseAddr(a.peer)) }) {
		return false
	}
	for _, h := range p.Headers {
		if v, there := a.header[h.Name]; !there || !slices.Contains(h.Values, v) {
			return false
		}
	}
	if p.JWT == nil {
		return true
	}
	for _, scope := range p.JWT.Scopes {
		if !elementOf(a.claims["scope"], scope, true) && !elementOf(a.claims["scp"], scope, true) {
			return false
		}
	}
	return verified[p.JWT.Provider] && !slices.ContainsFunc(p.JWT.Claims, func(c gatewayClaim) bool { return !c.fits(a) })
}

func (c gatewayClaim) fits(a asked) bool {
	var at any = a.claims
	for name := range strings.SplitSeq(c.Name, ".") {
		m, _ := at.(map[string]any)
		at = m[name]
	}
	split := c.Name == "scope" || c.Name == "scp"
	if c.ValueType == "StringArray" {
		return slices.ContainsFunc(c.Values, func(v string) bool { return elementOf(at, v, split) })
	}
	text, is := at.(string)
	return is && !split && slices.Contains(c.Values, text)
}

// elementOf reports whether a list has a text; split makes a list of a text.
func elementOf(list any, text string, split bool) bool {
	if s, is := list.(string); is && split {
		return slices.Contains(strings.Split(s, " "), text)
	}
	all, _ := list.([]any)
	return slices.ContainsFunc(all, func(x any) bool { return x == any(text) })
}

func onGatewayPath(kind, value, path string) bool {
	switch kind {
	case "Exact":
		return regexp.MustCompile("^" + regexp.QuoteMeta(value) + `(\?.*|#.*|;.*|$)`).MatchString(path)
	case "RegularExpression":
		return regexp.MustCompile("^(?:" + value + ")$").MatchString(path)
	}
	if value == "/" {
		return true
	}
	return regexp.MustCompile("^" + regexp.QuoteMeta(strings.TrimSuffix(value, "/")) + `(/.*|\?.*|#.*|;.*|$)`).MatchString(path)
}

func (f family) security() (o securityObject) {
	o.APIVersion, o.Kind, o.Metadata = "gateway.envoyproxy.io/v1alpha1", "SecurityPolicy", meta{"s", "shop"}
	s := &o.Spec
	s.TargetRefs = []map[string]string{{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "app"}}
	provider := func(name, issuer string, audiences ...string) gatewayProvider {
		return gatewayProvider{name, issuer, audiences, map[string]string{"uri": "https://keys.example/jwks"}}
	}
	if f.IntN(5) > 0 {
		s.JWT = &gatewayJWT{Optional: f.IntN(4) == 0, FailOpen: f.IntN(8) == 0, Providers: []gatewayProvider{provider("one", "https://one.example")}}
		if f.IntN(2) == 0 {
			s.JWT.Providers = append(s.JWT.Providers, provider("two", "https://two.example", "a", "x"))
		}
	}
	if f.IntN(16) == 0 {
		s.APIKeyAuth = &struct{}{}
	}
	if f.IntN(8) == 0 {
		return o
	}
	s.Authorization = &gatewayAccess{DefaultAction: pick(f, "", "Deny", "Allow")}
	for range f.IntN(4) {
		s.Authorization.Rules = append(s.Authorization.Rules, f.gatewayRule(s.JWT))
	}
	return o
}

func (f family) gatewayRule(jwt *gatewayJWT) gatewayRule {
	r := gatewayRule{Action: pick(f, "Allow", "Allow", "Deny")}
	if f.IntN(2) == 0 {
		r.Operation = &gatewayOperation{Methods: f.some("GET", "POST", "PUT")}
		if f.IntN(3) > 0 {
			r.Operation.Path = &gatewayPath{pick(f, "", "Exact", "PathPrefix", "RegularExpression"), pick(f, "/a", "/a/", "/", "/a/b", "/x"), f.IntN(4) == 0}
		}
	}
	if f.IntN(16) == 0 {
		r.CEL = "request.path == '/a'"
	}
	if f.IntN(6) == 0 {
		return r
	}
	p := &gatewayPrincipal{}
	if f.IntN(8) == 0 {
		p.ClientCIDRs = []string{"10.0.0.0/8"}
	}
	if f.IntN(3) == 0 {
		p.Headers = append(p.Headers, gatewayHeader{"x-a", []string{pick(f, "a", "b", "*"), "ab"}})
	}
	if jwt != nil && f.IntN(3) > 0 {
		p.JWT = &jwtPrincipal{Provider: pick(f, jwt.Providers...).Name, Scopes: f.some("a", "b")}
		for range f.IntN(3) {
			p.JWT.Claims = append(p.JWT.Claims, gatewayClaim{pick(f, "c", "n.c", "scope", "scp", "iss"), pick(f, "", "String", "StringArray"),
				[]string{pick(f, "a", "b", "7", "true", "https://one.example"), pick(f, "x", "xb", "a b")}})
		}
		if len(p.JWT.Scopes)+len(p.JWT.Claims) == 0 {
			p.JWT.Scopes = []string{"a"}
		}
	}
	r.Principal = p
	return r
}

// TestGatewayNeverWider converts random SecurityPolicies, and asks that what Envoy Gateway refuses be refused; and that most of what it lets in
// is let in, so that the test does not hold by refusing all.
func TestGatewayNeverWider(t *testing.T) {
	t.Parallel()
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	let, kept := 0, 0
	for seed := range rounds {
		f := family{rand.New(rand.NewPCG(uint64(seed), 13))}
		object := f.security()
		in, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		result, err := convert.Run([]convert.File{{Name: "f", Data: in}}, convert.Options{Selector: map[string]string{"app": "a"}})
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, in)
		}
		program := programOf(t, result.Policies, map[string]string{"app": "a"})
		for range 100 {
			a := f.request()
			a.peer = pick(f, "10.1.1.1", "192.0.2.1")
			if f.IntN(4) == 0 {
				a.path = pick(f, "/a;x", "/a;x/b", "/;x", "/x;y", "/a/;x")
			}
			if f.IntN(8) == 0 {
				a.method = strings.ToLower(a.method)
			}
			if a.claims != nil && f.IntN(2) == 0 {
				a.claims["scp"] = f.claim()
			}
			want, got := gatewayAllows(object.Spec, a), decide(program, a)
			if got.Allowed && !want {
				text, _ := json.MarshalIndent(result, "", " ")
				t.Fatalf("seed %d: Envoy Gateway refuses, rule %s allows: %+v\n%s\n%s", seed, got.Rule, a, in, text)
			}
			if want {
				let++
				if got.Allowed {
					kept++
				}
			}
		}
	}
	t.Logf("of %d requests that Envoy Gateway lets in, %d are let in", let, kept)
	if kept*10 < let*5 {
		t.Errorf("of %d requests that Envoy Gateway lets in, only %d are let in", let, kept)
	}
}

// What a SecurityPolicy cannot be converted for is said.
func TestGatewayRefused(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: s}\n"
	const route = "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app}], jwt: {providers: [{name: a, issuer: https://a.example, remoteJWKS: {uri: https://a.example/jwks}}]}"
	pods := map[string]string{"app": "a"}
	for name, test := range map[string]struct {
		in, want string
		selector map[string]string
	}{
		"a route that is not in the files":          {in: head + "spec: {" + route + "}\n", want: "give the route and its Services"},
		"a Gateway":                                 {in: head + "spec: {targetRef: {kind: Gateway, name: eg}}\n", want: "not one app's"},
		"no target":                                 {in: head + "spec: {}\n", want: "leads to pods"},
		"two policies for the same pods":            {in: head + "spec: {" + route + "}\n---\n" + head + "spec: {" + route + "}\n", selector: pods, want: "two AuthPolicies"},
		"one that is merged with another":           {in: head + "spec: {mergeType: StrategicMerge, " + route + "}\n", selector: pods, want: "merged"},
		"a field that is not known":                 {in: head + "spec: {ipFilter: {}, " + route + "}\n", selector: pods, want: "not known"},
		"an action that is not known":               {in: head + "spec: {" + route + ", authorization: {rules: [{action: Log}]}}\n", selector: pods, want: "want Allow or Deny"},
		"rules that are no list":                    {in: head + "spec: {" + route + ", authorization: {rules: {action: Allow}}}\n", selector: pods, want: "no list"},
		"providers that are no list":                {in: head + "spec: {jwt: {providers: {name: a}}}\n", selector: pods, want: "no providers"},
		"beside an object of Istio":                 {in: head + "spec: {" + route + "}\n---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n", selector: pods, want: "convert them apart"},
		"providers that tell the app other things":  {in: head + "spec: {jwt: {providers: [{name: a, claimToHeaders: [{header: x-u, claim: sub}], remoteJWKS: {uri: https://a.example}}, {name: b, remoteJWKS: {uri: https://b.example}}]}}\n", selector: pods, want: "convert the issuers apart"},
		"a route that changes the path":             {in: head + "spec: {" + route + "}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: app}\nspec: {rules: [{filters: [{type: URLRewrite}], backendRefs: [{name: web}]}]}\n", want: "change the path"},
		"a backend that changes a header":           {in: head + "spec: {" + route + "}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: app}\nspec: {rules: [{backendRefs: [{name: web, filters: [{type: RequestHeaderModifier}]}]}]}\n", want: "change the path"},
		"a backend that is no Service of the files": {in: head + "spec: {" + route + "}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: app}\nspec: {rules: [{backendRefs: [{name: web}]}]}\n", want: "no Service of the files"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := convert.Run([]convert.File{{Name: "f", Data: []byte(test.in)}}, convert.Options{Selector: test.selector})
			var refused *convert.RefusedError
			if !errors.As(err, &refused) || refused.Line == 0 || len(r.Policies) > 0 || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %+v", err, r)
			}
		})
	}
}

// What is no list, or has members that are not known, makes an allow rule let in nothing, and a deny rule refuse all.
func TestGatewayOddParts(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: s}\nspec:\n  jwt: {providers: [{name: a, issuer: https://a.example, remoteJWKS: {uri: https://a.example/jwks}}]}\n"
	for _, odd := range []string{
		"principal: {headers: {name: x-a, values: [a]}}", "principal: {headers: []}", "principal: {headers: [{name: x-a, value: a}]}", "principal: {jwt: {provider: a}}",
		"principal: {jwt: {provider: a, scopes: [s], claims: {name: c}}}", "principal: {jwt: {provider: a, claims: [{name: c}]}}", "principal: {jwt: {provider: b, scopes: [s]}}",
		"principal: {jwt: {provider: a, claims: [{name: c, valueType: Number, values: ['7']}]}}", "principal: text", "principal: {user: ann}", "operation: {methods: GET}",
		"operation: {host: a}", "operation: {path: /a}", "operation: {path: {type: Suffix, value: /a}}", "when: true",
	} {
		for action, want := range map[string]bool{"Allow": false, "Deny": false} {
			in := head + "  authorization: {defaultAction: " + map[string]string{"Allow": "Deny", "Deny": "Allow"}[action] + ", rules: [{action: " + action + ", " + odd + "}]}\n"
			r, err := convert.Run([]convert.File{{Name: "f", Data: []byte(in)}}, convert.Options{Selector: map[string]string{"app": "a"}})
			if err != nil {
				t.Errorf("%s: %v", odd, err)
				continue
			}
			a := asked{method: "GET", path: "/a", host: "h", ip: netip.MustParseAddr("10.0.0.1"), claims: map[string]any{"iss": "https://a.example", "scope": "s", "c": json.Number("7")}}
			if d := decide(programOf(t, r.Policies, map[string]string{"app": "a"}), a); d.Allowed != want {
				t.Errorf("%s %s: %+v", action, odd, d)
			}
		}
	}
}
