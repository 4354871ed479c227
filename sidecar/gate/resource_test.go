package gate_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// tools is a policy of a protected resource.
func tools() policy.Spec {
	s := orders()
	s.Resource = &policy.Resource{URL: "https://tools.example.com/mcp"}
	s.Issuers[0].Audiences, s.Issuers[0].ResourceAudience = nil, true
	return s
}

func TestWhereAResourceIsTold(t *testing.T) {
	t.Parallel()
	const metadata = "https://tools.example.com/.well-known/oauth-protected-resource/mcp"
	g := newGate(t, gatetest.Policy("tools", tools()))
	ours := func(claims map[string]any) []string {
		all := map[string]any{"aud": "https://tools.example.com/mcp"}
		for k, v := range claims {
			all[k] = v
		}
		return bearer(corp.Token(start, all))
	}
	for what, c := range map[string]struct {
		target  string
		headers []string
		reason  decision.Reason
		want    string
	}{
		"no token":                     {"/orders/1", nil, decision.NoToken, `Bearer scope="orders.read", resource_metadata="` + metadata + `"`},
		"no token, where no rule is":   {"/nowhere", nil, decision.NoToken, `Bearer resource_metadata="` + metadata + `"`},
		"another Host changes nothing": {"https://evil.example/orders/1", nil, decision.NoToken, `Bearer scope="orders.read", resource_metadata="` + metadata + `"`},
		"another audience": {"/orders/1", bearer(corp.Token(start, nil)), decision.WrongAudience,
			`Bearer error="invalid_token", error_description="the token is meant for another audience", scope="orders.read", resource_metadata="` + metadata + `"`},
		"the audience with a slash": {"/orders/1", ours(map[string]any{"aud": "https://tools.example.com/mcp/"}), decision.WrongAudience,
			`Bearer error="invalid_token", error_description="the token is meant for another audience", scope="orders.read", resource_metadata="` + metadata + `"`},
		"a scope is missing": {"/orders/1", ours(map[string]any{"scope": "x"}), decision.InsufficientScope,
			`Bearer error="insufficient_scope", error_description="the token lacks a scope that the request needs", scope="orders.read", resource_metadata="` + metadata + `"`},
		"no rule": {"/nowhere", ours(nil), decision.NoRule,
			`Bearer error="insufficient_scope", error_description="no rule allows the request", resource_metadata="` + metadata + `"`},
		"a deny rule": {"/orders/admin", ours(nil), decision.DeniedByRule, `Bearer resource_metadata="` + metadata + `"`},
		"two tokens": {"/orders/1", append(ours(nil), ours(nil)...), decision.DuplicateAuthorization,
			`Bearer error="invalid_request", error_description="the Authorization header comes more than once", resource_metadata="` + metadata + `"`},
		"two tokens for a rule that ignores them": {"/metrics", append(ours(nil), ours(nil)...), decision.DuplicateAuthorization,
			`Bearer error="invalid_request", error_description="the Authorization header comes more than once", resource_metadata="` + metadata + `"`},
		"a token that is taken": {"/orders/1", ours(map[string]any{"scope": "orders.read"}), decision.Allowed, ""},
	} {
		r := get(c.target, c.headers...)
		if c.target[0] != '/' {
			r.Host = "evil.example"
		}
		v := g.Judge(r)
		got := ""
		if !v.Forward {
			for _, f := range refuse.Render(v.Answer("", tracing.TraceID{}, nil), refuse.HTTP).Header {
				if f.Name == "Www-Authenticate" {
					got = f.Value
				}
			}
		}
		if v.Reason != c.reason || got != c.want {
			t.Errorf("%s: %s %s\nwant %s %s", what, v.Reason, got, c.reason, c.want)
		}
	}
}

// The metadata are where the canonical form of the path says, in whatever spelling it is asked for, and nowhere else.
func TestMetadataPathConfusion(t *testing.T) {
	t.Parallel()
	spec := tools()
	spec.Rules = append(spec.Rules, policy.Rule{Name: "closed", Match: []policy.Match{{Paths: []string{"/.well-known/**"}}}, Deny: &policy.Conditions{}})
	g := newGate(t, gatetest.Policy("tools", spec))
	for target, want := range map[string]decision.Reason{
		"/.well-known/oauth-protected-resource/mcp":                             decision.ResourceMetadata,
		"/.well-known/oauth-protected-resource/mcp?x=/..":                       decision.ResourceMetadata,
		"/%2ewell-known/oauth%2Dprotected-resource/mcp":                         decision.ResourceMetadata,
		"//.well-known/./oauth-protected-resource/x/../mcp":                     decision.ResourceMetadata,
		"http://evil.example/.well-known/oauth-protected-resource/mcp":          decision.ResourceMetadata,
		"/.well-known/oauth-protected-resource":                                 decision.DeniedByRule,
		"/.well-known/oauth-protected-resource/mcp/":                            decision.DeniedByRule,
		"/.well-known/oauth-protected-resource/mcp/../../../orders/1":           decision.NoToken,
		"/.well-known/oauth-protected-resource/mcp;x=1":                         decision.DeniedByRule,
		"/.well-known/oauth-protected-resource%2Fmcp":                           decision.BadPath,
		"/.well-known/oauth-protected-resource/mcp%00":                          decision.BadPath,
		"/.well-known\\oauth-protected-resource\\mcp":                           decision.BadPath,
		"/orders/1/.well-known/oauth-protected-resource/mcp":                    decision.NoToken,
		"/orders/1?/.well-known/oauth-protected-resource/mcp":                   decision.NoToken,
		"/orders/../../.well-known/oauth-protected-resource/mcp":                decision.BadPath,
		"/.WELL-KNOWN/oauth-protected-resource/mcp":                             decision.NoToken,
		"http://evil.example:80/.well-known/oauth-protected-resource/mcp%2e%2e": decision.DeniedByRule,
	} {
		r := get(target)
		if target[0] != '/' {
			r.Host, _, _ = cut(target)
		}
		v := g.Judge(r)
		if v.Reason != want || v.Forward || (v.Document != nil) != (want == decision.ResourceMetadata) {
			t.Errorf("%s: %s, a document: %v; want %s", target, v.Reason, v.Document != nil, want)
		}
	}
	for method, want := range map[string]decision.Reason{
		"HEAD": decision.ResourceMetadata, "OPTIONS": decision.ResourceMetadata, "POST": decision.DeniedByRule, "DELETE": decision.DeniedByRule,
		"get": decision.BadMethod, "TRACE": decision.BadMethod,
	} {
		r := get("/.well-known/oauth-protected-resource/mcp")
		r.Method = method
		if v := g.Judge(r); v.Reason != want {
			t.Errorf("%s: %s; want %s", method, v.Reason, want)
		}
	}
}

// cut returns the authority of an absolute target.
func cut(target string) (authority, rest string, ok bool) {
	const scheme = "http://"
	for i := len(scheme); i < len(target); i++ {
		if target[i] == '/' {
			return target[len(scheme):i], target[i:], true
		}
	}
	return "", "", false
}

// A broken token beside the request is no reason to refuse metadata, nor do they tell what it is.
func TestMetadataNeedNoToken(t *testing.T) {
	t.Parallel()
	g := newGate(t, gatetest.Policy("tools", tools()))
	v := g.Judge(get("/.well-known/oauth-protected-resource/mcp", bearer("broken")...))
	if v.Reason != decision.ResourceMetadata || v.Issuer != "" || v.KeyID != "" {
		t.Errorf("got %s", v.Reason)
	}
	want := `{"resource":"https://tools.example.com/mcp","authorization_servers":["https://login.example.com"],"scopes_supported":["orders.read"],"bearer_methods_supported":["header"]}`
	if diff := cmp.Diff(want, string(v.Document.Body)); diff != "" {
		t.Error(diff)
	}
}

// Metadata say which bound tokens are taken, and by which proofs.
func TestMetadataTellOfBoundTokens(t *testing.T) {
	t.Parallel()
	urls := []string{"https://tools.example.com"}
	for what, c := range map[string]struct {
		proof    policy.Proof
		required bool
		proofs   []string
		mtls     bool
	}{
		"DPoP is required": {policy.Proof{DPoP: policy.BindingRequired, PublicURLs: urls}, true, token.ProofAlgorithms(), false},
		"DPoP may be":      {policy.Proof{DPoP: policy.BindingIfBound, PublicURLs: urls, MTLS: policy.BindingIfBound}, false, token.ProofAlgorithms(), true},
		"mutual TLS":       {policy.Proof{MTLS: policy.BindingRequired}, false, nil, true},
		"neither":          {policy.Proof{DPoP: policy.BindingRefuse}, false, nil, false},
	} {
		spec := tools()
		spec.Issuers[0].Proof = &c.proof
		v := newGate(t, gatetest.Policy("tools", spec)).Judge(get("/.well-known/oauth-protected-resource/mcp"))
		var got struct {
			Required bool     `json:"dpop_bound_access_tokens_required"`
			Proofs   []string `json:"dpop_signing_alg_values_supported"`
			MTLS     bool     `json:"tls_client_certificate_bound_access_tokens"`
		}
		if err := json.Unmarshal(v.Document.Body, &got); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got.Proofs)
		want := slices.Clone(c.proofs)
		slices.Sort(want)
		if got.Required != c.required || !slices.Equal(got.Proofs, want) || got.MTLS != c.mtls {
			t.Errorf("%s: %s", what, v.Document.Body)
		}
	}
}

// An Audit policy answers nothing and changes no challenge.
func TestAnAuditPolicyTellsOfNoResource(t *testing.T) {
	t.Parallel()
	audit := tools()
	audit.Mode = policy.Audit
	g := newGate(t, gatetest.Policy("audit", audit), gatetest.Policy("orders", orders()))
	if v := g.Judge(get("/.well-known/oauth-protected-resource/mcp")); v.Reason != decision.NoToken || v.Challenge != nil {
		t.Errorf("got %s %v", v.Reason, v.Challenge)
	}
}
