package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

// issuersPolicy has an issuer of each kind, and a rule for each.
const issuersPolicy = `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: all, namespace: shop}
spec:
  issuers:
  - name: corp
    issuer: https://login.example.com
    audiences: [orders, pay]
    keys: {discovery: {}}
    decryption: {required: true, secretRef: {name: jwe, key: jwks}}
  - {name: shared, issuer: shared, anyAudience: true, algorithms: [HS256], keys: {secretRef: {name: hmac, key: k, format: HMAC}}}
  - name: dpop
    issuer: https://dpop.example.com
    audiences: [orders]
    keys: {jwksURL: "https://dpop.example.com/jwks"}
    proof: {dpop: Required, publicURLs: ["https://orders.example.com"]}
  - name: at
    issuer: https://at.example.com
    audiences: [orders]
    profile: RFC9068
    keys: {jwksURL: "https://at.example.com/jwks"}
    from: [{cookie: session}]
  - name: opaque
    issuer: https://opaque.example.com
    audiences: [orders]
    introspection: {url: "https://opaque.example.com/introspect", credentialsSecretRef: {name: client}}
    from: [{query: access_token}]
  - name: workloads
    audiences: [orders]
    keys: {spiffe: {trustDomain: example.org, bundleURL: "https://spire.example.org/"}}
    from: [{header: X-SVID}]
  - {name: pods, issuer: "https://kubernetes.default.svc", audiences: [orders], keys: {kubernetes: {}}, from: [{header: X-Pod}]}
  rules:
  - {name: corp, match: [{paths: [/corp]}], allow: {issuers: [corp], subjects: [alice]}}
  - {name: shared, match: [{paths: [/shared]}], allow: {issuers: [shared]}}
  - {name: dpop, match: [{paths: [/dpop]}], allow: {issuers: [dpop]}}
  - {name: at, match: [{paths: [/at]}], allow: {issuers: [at]}}
  - {name: opaque, match: [{paths: [/opaque]}], allow: {issuers: [opaque], scopes: [read]}}
  - {name: workloads, match: [{paths: [/workloads]}], allow: {issuers: [workloads], spiffeIDs: ["spiffe://example.org/ns/*/sa/web"]}}
  - {name: pods, match: [{paths: [/pods]}], allow: {issuers: [pods]}}
`

// Claims are held to all that the policy says of a token, whatever would prove one.
func TestClaimsInPlaceOfAToken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(issuersPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		issuer, claims, path string
		want                 string // reason, and the rule or what the cause has
	}{
		"by iss":                               {"", `{"iss":"https://login.example.com","sub":"alice"}`, "/corp", "Allowed corp"},
		"by the issuer's name":                 {"corp", `{"sub":"alice"}`, "/corp", "Allowed corp"},
		"another subject":                      {"corp", `{"sub":"bob"}`, "/corp", "NoRule"},
		"another rule's issuer":                {"shared", `{"sub":"alice"}`, "/corp", "NoRule"},
		"another audience":                     {"corp", `{"sub":"alice","aud":"other"}`, "/corp", "WrongAudience"},
		"no audience":                          {"corp", `{"sub":"alice","aud":null}`, "/corp", "WrongAudience"},
		"an exp that is past":                  {"corp", `{"sub":"alice","exp":1}`, "/corp", "Expired"},
		"no exp":                               {"corp", `{"sub":"alice","exp":null}`, "/corp", "MissingClaim"},
		"another iss than the issuer's":        {"corp", `{"sub":"alice","iss":"https://evil.example"}`, "/corp", "UnknownIssuer"},
		"an issuer with a shared secret":       {"shared", `{}`, "/shared", "Allowed shared"},
		"an issuer that wants proof":           {"dpop", `{"cnf":{"jkt":"x"}}`, "/dpop", "Allowed dpop"},
		"a profile that is met, in a cookie":   {"at", `{"sub":"a","client_id":"c"}`, "/at", "Allowed at"},
		"a profile that is not met":            {"at", `{"sub":"a"}`, "/at", "MissingClaim"},
		"an issuer that is asked, in a query":  {"opaque", `{"scope":"read write"}`, "/opaque?x=1", "Allowed opaque"},
		"an issuer that is asked, and a scope": {"opaque", `{"scope":"write"}`, "/opaque", "InsufficientScope opaque"},
		"a workload":                           {"workloads", `{"sub":"spiffe://example.org/ns/shop/sa/web"}`, "/workloads", "Allowed workloads"},
		"a workload of another trust domain":   {"workloads", `{"sub":"spiffe://evil.example/ns/shop/sa/web"}`, "/workloads", "UnknownIssuer"},
		"a pod": {"pods", `{"sub":"system:serviceaccount:shop:web","kubernetes.io":{"namespace":"shop","pod":{"name":"a","uid":"u1"},"serviceaccount":{"name":"web","uid":"u2"}}}`,
			"/pods", "Allowed pods"},
		"a service account without a pod": {"pods", `{"sub":"system:serviceaccount:shop:web"}`, "/pods", "Unbound"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"check", "-f", file, "--claims", tt.claims, "--request", "GET " + tt.path, "-o", "json"}
			if tt.issuer != "" {
				args = append(args, "--issuer", tt.issuer)
			}
			text, err := run(t, args...)
			if err != nil && !errors.Is(err, exit.ErrNo) {
				t.Fatal(err)
			}
			var r check.Report
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(string(r.Reason) + " " + r.Rule); got != tt.want {
				t.Errorf("%s; want %s\n%s", got, tt.want, text)
			}
			if r.Claims == nil || len(r.Claims.Issuers) != 1 {
				t.Errorf("it does not say whose claims they are: %s", text)
			}
			for _, n := range r.Notes {
				if strings.Contains(n, "issuer") && strings.Contains(n, "is not fetched") && strings.Contains(n, tt.issuer+"=") && tt.issuer != "" {
					t.Errorf("it asks for keys: %s", n)
				}
			}
		})
	}
}

func TestClaimsAreSaidNotToBeVerified(t *testing.T) {
	t.Parallel()
	dir, _ := samples(t)
	file := filepath.Join(t.TempDir(), "claims.json")
	if err := os.WriteFile(file, []byte(`{"sub":"alice","scope":"orders.read","realm_access":{"roles":["reader"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := run(t, "check", "-f", dir, "--claims", file, "--request", "GET /orders/1")
	if err != nil {
		t.Fatal(err)
	}
	want := "ALLOWED  Allowed, by rule read of shop/orders\n  the app gets /orders/1\n  with         X-User: alice\n  with         X-Roles: reader\n" +
		"  not verified: these are claims, not a token: they were taken as if issuer corp of shop/orders had signed them; filled in: iss, aud, iat, exp, jti\n" +
		"\nclaims\n└─ ✓ issuer corp of shop/orders takes the token\n"
	if !strings.HasPrefix(text, want) {
		t.Errorf("it says\n%s\nwant\n%s", text, want)
	}
}

func TestMistakesInClaims(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(issuersPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no file of this name":    {[]string{"--claims", "nowhere.json"}, "--claims: open nowhere.json"},
		"broken JSON":             {[]string{"--claims", `{"sub":`}, `the claims: want a JSON object, such as {"sub":"alice"}: `},
		"a claim twice":           {[]string{"--claims", `{"sub":"a","sub":"b"}`, "--issuer", "corp"}, `the claims: want a JSON object, such as {"sub":"alice"}: `},
		"no iss, several issuers": {[]string{"--claims", `{}`}, "the claims: iss is missing, and there are several issuers; want iss, or --issuer, one of at, corp, dpop, opaque, pods, shared, workloads"},
		"an issuer that is none":  {[]string{"--claims", `{}`, "--issuer", "x"}, `no policy has an issuer with the name "x"; want one of at, corp`},
		"an issuer, no claims":    {[]string{"--issuer", "corp"}, "--issuer: goes with --claims"},
		"claims and a token":      {[]string{"--claims", `{}`, "--token", "x"}, "--claims and --token do not go together"},
		"a place that is taken":   {[]string{"--claims", `{}`, "--issuer", "corp", "-H", "Authorization: Bearer x"}, "the request has Authorization already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, append([]string{"check", "-f", file, "--request", "GET /corp"}, tt.args...)...)
			if err == nil || errors.Is(err, exit.ErrNo) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v; want %q", err, tt.want)
			}
		})
	}
}
