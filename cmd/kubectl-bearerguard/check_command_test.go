package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

// samples copies the sample policy and makes the keys that it names; it returns the directory and the signing key.
func samples(t *testing.T) (dir, signing string) {
	t.Helper()
	dir, signing = t.TempDir(), makeKeys(t, "--alg", "RS256", "--kid", "k1")
	for _, name := range []string{"authpolicy.yaml", "tokenrevocation.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", "standalone", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"--public", "--key", signing, "--manifest", "ConfigMap/corp:jwks.json", "--out", filepath.Join(dir, "keys.yaml")},
		{"--alg", "RSA-OAEP-256", "--manifest", "Secret/orders-jwe:jwks", "--out", filepath.Join(dir, "decryption.yaml")},
	} {
		if _, err := run(t, append([]string{"token", "keys", "--namespace", "shop"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	return dir, signing
}

func mintFor(t *testing.T, signing string, args ...string) string {
	t.Helper()
	token, err := run(t, append([]string{"token", "--key", signing, "--iss", "https://login.example.com", "--aud", "orders",
		"--sub", "alice"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(token)
}

func TestCheckDecidesAsTheSidecarDoes(t *testing.T) {
	t.Parallel()
	dir, signing := samples(t)
	reader := mintFor(t, signing, "--scope", "orders.read", "--claim", `realm_access={"roles":["reader"]}`)
	lost := mintFor(t, signing, "--jti", "lost-laptop-2026-11-25")
	type verdict struct {
		Allowed bool
		Reason  string
		Status  int
		Rule    string
		Headers []string
	}
	tests := map[string]struct {
		args []string
		want verdict
	}{
		"a token that a rule lets in": {
			[]string{"--token", reader, "--request", "GET /orders/1"},
			verdict{true, "Allowed", 0, "read", []string{"X-User: alice", "X-Roles: reader"}},
		},
		"a public path without a token": {
			[]string{"--request", "GET http://orders.example.com/docs/a"},
			verdict{Allowed: true, Reason: "Allowed", Rule: "public"},
		},
		"no token":                       {[]string{"--request", "GET /orders/1"}, verdict{Reason: "NoToken", Status: 401}},
		"a token that has expired":       {[]string{"--token", reader, "--request", "GET /orders/1", "--at", "2027-01-01T00:00:00Z"}, verdict{Reason: "Expired", Status: 401}},
		"a token that is taken back":     {[]string{"--token", lost, "--request", "GET /users/alice/x"}, verdict{Reason: "Revoked", Status: 401}},
		"a token that opens other doors": {[]string{"--token", reader, "--request", "DELETE /orders/1"}, verdict{Reason: "NoRule", Status: 403}},
		"a deny rule":                    {[]string{"--token", reader, "--request", "PUT /archive/1"}, verdict{Reason: "DeniedByRule", Status: 403, Rule: "archive-is-read-only"}},
		"a path in disguise":             {[]string{"--request", "GET /docs/..%2forders"}, verdict{Reason: "BadPath", Status: 400}},
		"two tokens":                     {[]string{"--token", reader, "-H", "Authorization: Bearer x", "--request", "GET /orders/1"}, verdict{Reason: "DuplicateAuthorization", Status: 400}},
		"a workload that no policy selects": {
			[]string{"--request", "GET /orders/1", "--labels", "app=other"}, verdict{Reason: "NoPolicy", Status: 403},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := run(t, append([]string{"check", "-f", dir, "-o", "json"}, tt.args...)...)
			if tt.want.Allowed != (err == nil) || err != nil && !errors.Is(err, exit.ErrNo) {
				t.Fatalf("error is %v", err)
			}
			var r check.Report
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			got := verdict{r.Allowed, string(r.Reason), r.Status, r.Rule, r.Headers}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckExplainsInWords(t *testing.T) {
	t.Parallel()
	dir, signing := samples(t)
	guest := mintFor(t, signing, "--scope", "orders.read", "--claim", `realm_access={"roles":["guest-canary"]}`)
	text, err := run(t, "check", "-f", dir, "--token", guest, "--request", "GET /orders/1")
	if !errors.Is(err, exit.ErrNo) {
		t.Fatalf("error is %v, want a refusal", err)
	}
	for _, want := range []string{
		"REFUSED  403 NoRule\n",
		"  nearest: rule read of shop/orders\n  failed: spec.rules[1].allow.claims[0]: the claim realm_access.roles does not satisfy anyOf\n",
		"\ntoken\n└─ ✓ issuer corp of shop/orders takes the token\n",
		"\npolicy shop/orders\n├─ · deny rule archive-is-read-only does not match the request: spec.rules[4].match[0].paths\n",
		"├─ · allow rule public does not match the request: spec.rules[0].match[0].paths\n" +
			"├─ ✗ allow rule read matches, but its conditions do not hold\n" +
			"│  ├─ ✓ spec.rules[1].allow.issuers holds\n" +
			"│  ├─ ✗ spec.rules[1].allow.claims[0]: the claim realm_access.roles does not satisfy anyOf\n" +
			"│  └─ ✓ spec.rules[1].allow.scopes holds\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("report lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "guest-canary") || strings.Contains(text, guest) {
		t.Errorf("report shows a claim value or the token:\n%s", text)
	}
}

// TestCheckTellsTheCause gives tokens with one mistake each and wants to be told which.
func TestCheckTellsTheCause(t *testing.T) {
	t.Parallel()
	dir, signing := samples(t)
	good := mintFor(t, signing)
	header, rest, _ := strings.Cut(good, ".")
	with := func(args ...string) string { return mintFor(t, signing, args...) }
	tests := map[string]struct {
		token string
		want  []string // lines of the report
	}{
		"iss with a final slash": {with("--iss", "https://login.example.com/"), []string{
			"REFUSED  401 UnknownIssuer",
			`because: the token says iss "https://login.example.com/", the policy "https://login.example.com" (issuer corp of shop/orders): they differ by a final slash`,
			`issuer corp of shop/orders does not take the token: UnknownIssuer: the token says iss "https://login.example.com/", the policy "https://login.example.com": they differ by a final slash`,
		}},
		"sub a number":          {with("--claim", "sub=42"), []string{"REFUSED  401 BadClaim", "because: sub is a number, not a string: it is 42"}},
		"an expired token":      {with("--issued-at", "-1h", "--expires-in", "-3m"), []string{"REFUSED  401 Expired", "because: exp was 3m"}},
		"another audience":      {with("--claim", "aud=pay"), []string{"REFUSED  401 WrongAudience, by shop/orders\n", "  issuer entry: corp of shop/orders, audiences orders\n", `because: aud has none of the audiences: the token has "pay"; want "orders"`}},
		"a key in the header":   {with("--header", "jwk={}"), []string{"REFUSED  401 HeaderNotAllowed", "because: the header has jwk"}},
		"padding":               {header + "=." + rest, []string{"REFUSED  401 Malformed", "because: the header has padding (=)"}},
		"a token that is cut":   {header, []string{"REFUSED  401 Malformed", "because: the token has one part"}},
		"a kid that no key has": {with("--header", "kid=other"), []string{"REFUSED  401 UnknownKey", `because: no key has the token's kid: its kid is "other"; the key`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := run(t, "check", "-f", dir, "--token", tt.token, "--request", "GET /orders/1")
			if !errors.Is(err, exit.ErrNo) {
				t.Errorf("error is %v, want a refusal", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("report lacks %q:\n%s", want, text)
				}
			}
		})
	}
}

// TestCheckTellsTheCauseInsideAnEncryptedToken has an issuer that decrypts the token and does not want what is in it.
func TestCheckTellsTheCauseInsideAnEncryptedToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	must := func(args ...string) string {
		out, err := run(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must("token", "keys", "--alg", "ES256", "--out", file("signing"))
	must("token", "keys", "--alg", "RSA-OAEP-256", "--out", file("jwe"))
	const rules = `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: t}
spec:
  issuers:
  - name: corp
    issuer: https://login.example.com
    audiences: [orders]
    keys: {configMapRef: {name: corp, key: jwks}}
    decryption: {secretRef: {name: jwe, key: jwks}}
  rules: [{name: all, allow: {authenticated: true}}]
`
	policies := must("token", "keys", "--public", "--key", file("signing"), "--manifest", "ConfigMap/corp:jwks") + "\n---\n" + rules
	jwe, err := os.ReadFile(file("jwe"))
	if err != nil {
		t.Fatal(err)
	}
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: jwe}\ndata: {jwks: " + base64.StdEncoding.EncodeToString(jwe) + "}\n"
	if err := os.WriteFile(file("policy.yaml"), []byte(policies+secret), 0o600); err != nil {
		t.Fatal(err)
	}
	token := must("token", "--key", file("signing"), "--iss", "https://login.example.com/", "--aud", "orders", "--encrypt-key", file("jwe"), "--enc", "A256GCM")
	text, err := run(t, "check", "-f", file("policy.yaml"), "--token", token, "--request", "GET /")
	if want := "they differ by a final slash"; !errors.Is(err, exit.ErrNo) || !strings.Contains(text, "because: in the token inside, ") || !strings.Contains(text, want) {
		t.Errorf("%v; report lacks %q:\n%s", err, want, text)
	}
}

// TestCheckTakesATokenAsItWasCopied gives a token as people copy it.
func TestCheckTakesATokenAsItWasCopied(t *testing.T) {
	t.Parallel()
	dir, signing := samples(t)
	token := mintFor(t, signing, "--scope", "orders.read", "--claim", `realm_access={"roles":["reader"]}`)
	for _, copied := range []string{
		token, "Bearer " + token, "bearer " + token, "BEARER   " + token, "Authorization: Bearer " + token, "authorization:bearer " + token,
		`"` + token + `"`, "'" + token + "'", `"Bearer ` + token + `"`, "'Authorization: Bearer " + token + "'", token + "\n", "\r\n  " + token + "\t",
		"Bearer Bearer " + token, "Bearer \"" + token + "\"\n",
	} {
		if out, err := run(t, "check", "-f", dir, "--token", copied, "--request", "GET /orders/1"); err != nil {
			t.Errorf("%.40q: %v\n%s", copied, err, out)
		}
	}
	for _, none := range []string{"", "Bearer", "Bearer ", `""`} {
		if out, err := run(t, "check", "-f", dir, "--token", none, "--request", "GET /orders/1"); !errors.Is(err, exit.ErrNo) {
			t.Errorf("%q: %v\n%s", none, err, out)
		}
	}
}

func TestCheckTakesKeysThatThePolicyFetches(t *testing.T) {
	t.Parallel()
	_, signing := samples(t)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	text := `
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: p}
spec:
  issuers: [{name: corp, issuer: "https://login.example.com", audiences: [orders], keys: {discovery: {}}}]
  rules: [{name: all, allow: {authenticated: true}}]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	question := []string{"check", "-f", file, "--token", mintFor(t, signing), "--request", "GET /"}
	out, err := run(t, question...)
	if !errors.Is(err, exit.ErrNo) || !strings.Contains(out, "KeysUnavailable") || !strings.Contains(out, "--keys corp=FILE") {
		t.Errorf("without keys: %v\n%s", err, out)
	}
	if out, err := run(t, append(question, "--keys", "corp="+signing)...); err != nil {
		t.Errorf("with keys: %v\n%s", err, out)
	}
}

// Prometheus sends its own token with each scrape.
func TestCheckExplainsTokensThatAreIgnored(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	text := `
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: p}
spec:
  issuers: [{name: corp, issuer: "https://login.example.com", audiences: [orders], keys: {discovery: {}}}]
  rules:
  - {name: all, allow: {authenticated: true}}
  - {name: metrics, match: [{paths: [/metrics]}], allow: {anonymous: true, ignoreToken: true}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "check", "-f", file, "--token", "opaque123", "--request", "GET /metrics")
	for _, want := range []string{"ALLOWED  Allowed, by rule metrics", "nobody looks at a token: the rule has ignoreToken"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("error %v; report lacks %q:\n%s", err, want, out)
		}
	}
	if strings.Contains(out, "does not take the token") {
		t.Errorf("somebody looked at the token:\n%s", out)
	}
	if out, err := run(t, "check", "-f", file, "--token", "opaque123", "--request", "GET /"); !errors.Is(err, exit.ErrNo) || !strings.Contains(out, "Malformed") {
		t.Errorf("elsewhere: %v\n%s", err, out)
	}
}

func TestCheckMistakesNameTheFlag(t *testing.T) {
	t.Parallel()
	dir, _ := samples(t)
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	policy, err := os.ReadFile(filepath.Join(dir, "authpolicy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, []byte(strings.Replace(string(policy), "path.user", "path.usr", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(args ...string) []string { return append([]string{"check", "-f", dir}, args...) }
	tests := map[string]struct {
		args []string
		want string
	}{
		"no file":                      {[]string{"check"}, "--filename: is missing"},
		"a file that is missing":       {[]string{"check", "-f", "/nowhere"}, "--filename: "},
		"no request":                   {with(), `--request: is missing; want METHOD`},
		"a request without path":       {with("--request", "GET"), "--request: "},
		"a relative path":              {with("--request", "GET orders"), "--request: "},
		"a header without value":       {with("--request", "GET /", "-H", "X"), `--header: "X"`},
		"a label without value":        {with("--request", "GET /", "--labels", "app"), `--labels "app"`},
		"an address that is none":      {with("--request", "GET /", "--remote", "here"), "--remote: "},
		"a time that is none":          {with("--request", "GET /", "--at", "noon"), "--at: "},
		"an output that is none":       {with("--request", "GET /", "-o", "xml"), `invalid argument "xml" for "-o, --output" flag: want text, json, yaml, tap or junit`},
		"keys of an unknown issuer":    {with("--request", "GET /", "--keys", "acme="+broken), `no policy has an issuer with the name "acme"`},
		"a policy with a mistake":      {[]string{"check", "-f", broken, "--request", "GET /"}, broken + ":59: shop/orders: spec.rules[3].allow.when"},
		"a directory without policies": {[]string{"check", "-f", t.TempDir(), "--request", "GET /"}, "no file in it ends in .yaml"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, tt.args...)
			if err == nil || errors.Is(err, exit.ErrNo) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v\nwant one that has %q", err, tt.want)
			}
		})
	}
}

// A header that the app does not get is named, with the cause and what to do.
func TestCheckNamesHeadersThatAreLeftOut(t *testing.T) {
	t.Parallel()
	signing := makeKeys(t, "--alg", "ES256", "--kid", "k1")
	keys := filepath.Join(t.TempDir(), "public.json")
	if _, err := run(t, "token", "keys", "--public", "--key", signing, "--out", keys); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(`apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: a, namespace: shop}
spec:
  issuers: [{name: corp, issuer: "https://login.example.com", audiences: [orders], keys: {discovery: {}}}]
  rules: [{name: all, allow: {authenticated: true}}]
  forward: {headers: [{name: X-Sub, claim: sub}, {name: X-Groups, claim: groups, format: CSV}, {name: X-Address, claim: address}]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	token := mintFor(t, signing, "--claim", `groups=["dev","cn=admins,ou=it"]`, "--claim", `address={"street":"x"}`)
	args := []string{"check", "-f", file, "--keys", "corp=" + keys, "--token", token, "--request", "GET /a"}
	out, err := run(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"with         X-Sub: alice\n",
		"X-Groups: left out: an element has a comma; use format JSON\n",
		"X-Address: left out: the claim is an object; use format JSON\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if out, err = run(t, append(args, "-o", "json")...); err != nil {
		t.Fatal(err)
	}
	var r check.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	want := []check.LeftOut{
		{Policy: "shop/a", Header: "X-Groups", Cause: "an element has a comma; use format JSON"},
		{Policy: "shop/a", Header: "X-Address", Cause: "the claim is an object; use format JSON"},
	}
	if diff := cmp.Diff(want, r.LeftOut); diff != "" {
		t.Error(diff)
	}
}

// A request that has no canonical form is refused with what is wrong with it, and what to do where something can be done.
func TestCheckSaysWhatIsWrongWithAPath(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(`apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: a, namespace: shop}
spec: {rules: [{name: all, allow: {anonymous: true}}]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]string{
		"GET /api/v4/projects/group%2Fproj/x": "has an encoded slash; paths.encodedSlash: Keep lets it in",
		"GET /a%5Cb":                          "has a backslash",
		"GET /../a":                           "climbs above the root",
		"GET /a%00":                           "has %00",
		"GET /a%zz":                           "has bad percent-encoding",
	} {
		out, err := run(t, "check", "-f", file, "--request", request)
		if err == nil || !strings.Contains(out, "400 BadPath") || !strings.Contains(out, want) {
			t.Errorf("%s: %v; want %q in %s", request, err, want, out)
		}
	}
}

// Targets are forwarded as they were sent only if all policies say so: a policy that another overrules is named.
func TestCheckNamesAPolicyThatAnotherOverrules(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	for name, tt := range map[string]struct{ other, note, target string }{
		"another says nothing": {"", "shop/a: spec.paths.forward: AsSent has no effect, since shop/b does not say it", "gets /x/y"},
		"another says it, too": {"paths: {forward: AsSent}, ", "", "gets //x/%79"},
		"another is for Audit": {"mode: Audit, ", "", "gets //x/%79"},
	} {
		if err := os.WriteFile(file, []byte(`apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: a, namespace: shop}
spec: {paths: {forward: AsSent}, rules: [{name: all, allow: {anonymous: true}}]}
---
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: b, namespace: shop}
spec: {`+tt.other+`rules: [{name: all, allow: {anonymous: true}}]}
`), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := run(t, "check", "-f", file, "--request", "GET //x/%79")
		if err != nil || !strings.Contains(out, tt.target) || !strings.Contains(out, tt.note) || strings.Contains(out, "has no effect") != (tt.note != "") {
			t.Errorf("%s: %v; want %q and %q in %s", name, err, tt.target, tt.note, out)
		}
	}
}
