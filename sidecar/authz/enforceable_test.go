package authz

import (
	"reflect"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestWhatNobodyWouldEnforceIsNotLoaded(t *testing.T) {
	t.Parallel()
	rule := func(m policy.Match, a policy.Allow) policy.Spec {
		return policy.Spec{Rules: []policy.Rule{{Name: "a", Match: []policy.Match{m}, Allow: &a}}}
	}
	deny := func(when string) policy.Spec {
		return policy.Spec{Rules: []policy.Rule{{Name: "a", Deny: &policy.Conditions{When: when}}}}
	}
	from := func(l policy.TokenLocation) policy.Spec {
		return policy.Spec{Issuers: []policy.Issuer{{From: []policy.TokenLocation{l}}}}
	}
	size, port := policy.Size{}, Means{ForwardAuth: true, Port: true}
	for name, tc := range map[string]struct {
		spec     policy.Spec
		want     string // of the error
		promised Promise
	}{
		"strip the token":               {policy.Spec{Forward: &policy.Forward{Token: policy.Strip}}, "shop/p: spec.forward.token: a gateway that asks by forward-auth cannot be told to strip the token; --gateway-does strip-token", StripToken},
		"a token in the query":          {from(policy.TokenLocation{Query: "t"}), "shop/p: spec.issuers[0].from[0]: ", StripToken},
		"a token as a protocol":         {from(policy.TokenLocation{WebSocketProtocol: "t"}), "shop/p: spec.issuers[0].from[0]: ", StripToken},
		"a bound of the body":           {rule(policy.Match{}, policy.Allow{MaxBody: &size}), "shop/p: spec.rules[0].allow.maxBody: a gateway cannot be told to bound a body", MaxBody},
		"CORS":                          {policy.Spec{CORS: &policy.CORS{}}, "shop/p: spec.cors: ", CORS},
		"a resource":                    {policy.Spec{Resource: &policy.Resource{}}, "shop/p: spec.resource: ", ResourceMetadata},
		"streams that end":              {policy.Spec{Streams: &policy.Streams{OnExpiry: policy.CloseStream}}, "shop/p: spec.streams.onExpiry: ", CloseStreams},
		"a port":                        {rule(policy.Match{Ports: []int32{80}}, policy.Allow{}), "shop/p: spec.rules[0].match[0]: the port that rules see is not known; --app-port says it", ""},
		"no port":                       {rule(policy.Match{NotPorts: []int32{80}}, policy.Allow{}), "--app-port says it", ""},
		"a port in a condition":         {deny("request.port == 80"), "shop/p: spec.rules[0].deny.when: the port that rules see is not known", ""},
		"one that is hidden":            {deny("has(claims.a) || . request // a remark\n. port == 80"), "shop/p: spec.rules[0].deny.when: the port", ""},
		"a certificate":                 {deny("'a' in request.tls.san"), "shop/p: spec.rules[0].deny.when: request.tls: ", ""},
		"a message to an MCP server":    {rule(policy.Match{MCP: &policy.MCPMatch{Methods: []string{"tools/call"}}}, policy.Allow{}), "shop/p: spec.rules[0].match[0].mcp: a gateway that asks by forward-auth does not show the body", ""},
		"tokens bound to a certificate": {policy.Spec{Issuers: []policy.Issuer{{Proof: &policy.Proof{MTLS: policy.BindingRequired}}}}, "shop/p: spec.issuers[0].proof.mtls: a gateway that asks by forward-auth", ""},
		"what is fine":                  {from(policy.TokenLocation{Cookie: "t"}), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := []bundle.Policy{{Namespace: "shop", Name: "p", Spec: tc.spec}}
			err := Means{ForwardAuth: true}.Unenforceable(b)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if tc.promised == "" {
				return
			}
			if err := (Means{ForwardAuth: true, Promises: []Promise{tc.promised}}).Unenforceable(b); err != nil {
				t.Errorf("promised: %v", err)
			}
			b[0].Spec.Mode = policy.Audit
			if err := port.Unenforceable(b); err != nil {
				t.Errorf("of an Audit policy: %v", err)
			}
		})
	}
	if err := port.Unenforceable([]bundle.Policy{{Spec: rule(policy.Match{Ports: []int32{80}}, policy.Allow{})}, {Spec: deny("request.port == 80")}}); err != nil {
		t.Errorf("with a port: %v", err)
	}
}

// A field of a policy that nobody has thought about may be one that no gateway enforces: whoever adds one decides here.
func TestEveryFieldOfAPolicyIsDecidedAbout(t *testing.T) {
	t.Parallel()
	for of, fields := range map[reflect.Type]map[string]string{
		reflect.TypeFor[policy.Spec](): {
			"Mode": "the gate's", "Issuers": "see below", "Rules": "see below", "Forward": "see below",
			"Paths": "withhold", "CORS": "promised", "Resource": "promised", "Streams": "promised",
		},
		reflect.TypeFor[policy.Forward](): {"Token": "promised", "Headers": "told", "PayloadHeader": "told"},
		reflect.TypeFor[policy.Rule]():    {"Name": "a name", "Match": "see below", "Allow": "see below", "Deny": "see below"},
		reflect.TypeFor[policy.Match](): {
			"Hosts": "told", "NotHosts": "told", "Paths": "told", "NotPaths": "told", "Methods": "told", "NotMethods": "told", "Ports": "by flag", "NotPorts": "by flag",
			"RemoteIPs": "told", "NotRemoteIPs": "told", "Headers": "told", "MCP": "refused by forward-auth",
		},
		reflect.TypeFor[policy.Allow](): {
			"Authenticated": "of the token", "Anonymous": "of the token", "IgnoreToken": "of the token", "MaxBody": "promised", "Conditions": "see below", "Authentication": "of the token",
			"Actors": "of the token",
		},
		reflect.TypeFor[policy.Conditions](): {
			"Issuers": "of the token", "Subjects": "of the token", "ServiceAccounts": "of the token", "Scopes": "of the token", "Claims": "of the token", "When": "read",
			"Actors": "of the token", "SPIFFEIDs": "of the token",
		},
		reflect.TypeFor[policy.Proof](): {"DPoP": "of the header", "PublicURLs": "of the header", "MaxAge": "of the header", "Replay": "of the header", "Nonce": "of the header; refusals bring the next", "NonceSecretRef": "of the header; refusals bring the next", "MTLS": "refused by forward-auth"},
		reflect.TypeFor[policy.Issuer](): {
			"Name": "a name", "Issuer": "of the token", "AnyIssuer": "of the token", "Audiences": "of the token", "ResourceAudience": "of the token", "AnyAudience": "of the token",
			"Keys": "of the token", "CASecretRef": "of the keys", "Algorithms": "of the token", "Types": "of the token", "Profile": "of the token", "From": "promised",
			"Decryption": "of the token", "RequiredClaims": "of the token", "ClockSkew": "of the token", "MaxAge": "of the token", "AllowMissingExp": "of the token",
			"Introspection": "of the token", "Proof": "see below",
		},
	} {
		for i := range of.NumField() {
			if name := of.Field(i).Name; fields[name] == "" {
				t.Errorf("%s.%s: can a gateway enforce it? Means.Unenforceable has to refuse it if not", of.Name(), name)
			}
		}
	}
}
