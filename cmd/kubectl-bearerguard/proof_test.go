package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/sidecar/dpop"
)

// clientKey is the key of RFC 9449 section 6.1, whose thumbprint is there; its private half is made up.
const clientKey = `{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`

// certificateFile writes a certificate and returns its path and hash.
func certificateFile(t *testing.T) (path, hash string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "client.crt")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return path, base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestTokensAreBound(t *testing.T) {
	t.Parallel()
	signing, client := makeKeys(t, "--alg", "ES256"), filepath.Join(t.TempDir(), "client.json")
	if err := os.WriteFile(client, []byte(clientKey), 0o600); err != nil {
		t.Fatal(err)
	}
	certificate, hash := certificateFile(t)
	const jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	for name, tt := range map[string]struct {
		args []string
		want any
	}{
		"to a key, by its public half": {[]string{"--dpop-key", client}, map[string]any{"jkt": jkt}},
		"to a certificate":             {[]string{"--client-certificate", certificate}, map[string]any{"x5t#S256": hash}},
		"to both":                      {[]string{"--dpop-key", client, "--client-certificate", certificate}, map[string]any{"jkt": jkt, "x5t#S256": hash}},
		"to what a claim says":         {[]string{"--dpop-key", client, "--claim", `cnf={"jkt":"x"}`}, map[string]any{"jkt": "x"}},
		"to nothing":                   {nil, nil},
	} {
		token, err := run(t, append([]string{"token", "--key", signing}, tt.args...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, part(t, token, 1)["cnf"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestProofs(t *testing.T) {
	t.Parallel()
	const token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU" // RFC 9449 section 7.1, with its hash
	for _, alg := range []string{"ES256", "ES384", "ES512", "RS256", "PS384", "EdDSA", "Ed25519"} {
		proof, err := run(t, "token", "proof", "--key", makeKeys(t, "--alg", alg, "--kid", "k"), "--url", "https://a.example/x?q=1#f",
			"--token", "DPoP "+token, "--nonce", "n", "--jti", "one", "--issued-at", "-5s")
		if err != nil {
			t.Fatal(alg, err)
		}
		want := map[string]any{"htm": "GET", "htu": "https://a.example/x", "jti": "one", "iat": float64(noon.Unix() - 5), "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "nonce": "n"}
		if diff := cmp.Diff(want, part(t, proof, 1)); diff != "" {
			t.Error(alg, diff)
		}
		header := part(t, proof, 0)
		key, _ := header["jwk"].(map[string]any)
		if len(header) != 3 || header["typ"] != "dpop+jwt" || header["alg"] != alg || key["kty"] == nil || key["d"] != nil || key["kid"] != nil {
			t.Errorf("%s: header %v", alg, header)
		}
		read, no := dpop.Parse(strings.TrimSpace(proof))
		if !no.Refused() {
			no = read.Signed()
		}
		if no.Refused() {
			t.Errorf("%s: the sidecar says: %s", alg, no.Cause)
		}
	}
}

func TestMistakesWithProofsNameTheFlag(t *testing.T) {
	t.Parallel()
	key, other := makeKeys(t, "--alg", "ES256"), makeKeys(t, "--alg", "HS256")
	public := filepath.Join(t.TempDir(), "public.json")
	if err := os.WriteFile(public, []byte(clientKey), 0o600); err != nil {
		t.Fatal(err)
	}
	proof := func(args ...string) []string { return append([]string{"token", "proof"}, args...) }
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no key":                         {proof("--url", "https://a", "--token", "t"), "--key: is missing"},
		"no URL":                         {proof("--key", key, "--token", "t"), "--url: is missing"},
		"a path in place of a URL":       {proof("--key", key, "--token", "t", "--url", "/orders"), `--url: "/orders" is no URL`},
		"no token":                       {proof("--key", key, "--url", "https://a"), "--token: is missing"},
		"a public key":                   {proof("--key", public, "--url", "https://a", "--token", "t"), "--key: key (no kid): is public"},
		"a secret":                       {proof("--key", other, "--url", "https://a", "--token", "t"), "is symmetric; a proof needs a key pair"},
		"a claim that is not there":      {proof("--key", key, "--url", "https://a", "--token", "t", "--without", "nonce"), "--without nonce: the proof has no such claim"},
		"both from standard input":       {proof("--key", "-", "--url", "https://a", "--token", "-"), "--key and --token: only one"},
		"a token bound to a secret":      {[]string{"token", "--key", key, "--dpop-key", other}, "--dpop-key: key"},
		"a token bound to no file":       {[]string{"token", "--key", key, "--dpop-key", "/nowhere"}, "--dpop-key: open /nowhere"},
		"a token bound to no PEM":        {[]string{"token", "--key", key, "--client-certificate", key}, "--client-certificate: " + key + " has no PEM certificate"},
		"two keys from standard input":   {[]string{"token", "--key", "-", "--dpop-key", "-"}, "--key and --dpop-key: only one"},
		"an algorithm that does not fit": {proof("--key", key, "--url", "https://a", "--token", "t", "--alg", "RS256"), "--key: "},
	} {
		if _, err := run(t, tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
}

// boundPolicy takes tokens that are bound by DPoP, of an issuer whose keys are in keys.yaml.
func boundPolicy(proof string) string {
	return `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - name: corp
    issuer: https://login.example.com
    audiences: [orders]
    keys: {configMapRef: {name: corp, key: jwks.json}}
    proof: {publicURLs: ["https://api.example.com"], ` + proof + `}
  rules:
  - name: read
    allow: {authenticated: true}
`
}

// A proof is decided about as the sidecar does.
func TestCheckWithAProof(t *testing.T) {
	t.Parallel()
	signing, client, thief := makeKeys(t, "--alg", "RS256"), makeKeys(t, "--alg", "ES256"), makeKeys(t, "--alg", "ES256")
	files := func(proof string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(boundPolicy(proof)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, "token", "keys", "--public", "--key", signing, "--manifest", "ConfigMap/corp:jwks.json", "--out", filepath.Join(dir, "keys.yaml")); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	required, ifBound, nonces := files("dpop: Required"), files("dpop: IfBound"), files("dpop: Required, nonce: Required")
	token, plain := mintFor(t, signing, "--dpop-key", client), mintFor(t, signing)
	proof := func(args ...string) string {
		out, err := run(t, append([]string{"token", "proof", "--key", client, "--url", "https://api.example.com/orders/1", "--token", token}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return "DPoP: " + strings.TrimSpace(out)
	}
	good := proof()
	for name, tt := range map[string]struct {
		dir  string
		args []string
		want string // the reason
		says string // of the text
	}{
		"a good proof":                           {required, []string{"--token", token, "-H", good}, "Allowed", "ALLOWED"},
		"with the scheme in words":               {required, []string{"--token", "DPoP " + token, "-H", good}, "Allowed", "ALLOWED"},
		"with the header in full":                {required, []string{"-H", "Authorization: DPoP " + token, "-H", good}, "Allowed", "ALLOWED"},
		"another URL":                            {required, []string{"--token", token, "-H", proof("--url", "https://api.example.com/orders/2")}, "BadProof", "htu is not the URL of the request: it is \"https://api.example.com/orders/2\"; want https://api.example.com and the request's path"},
		"another host":                           {required, []string{"--token", token, "-H", proof("--url", "https://gateway.internal/orders/1")}, "BadProof", "htu is not the URL of the request"},
		"another method":                         {required, []string{"--token", token, "-H", proof("--method", "DELETE")}, "BadProof", `htm is not the request's method: it is "DELETE"`},
		"another token":                          {required, []string{"--token", token, "-H", proof("--token", "other")}, "BadProof", "ath"},
		"another key":                            {required, []string{"--token", token, "-H", proof("--key", thief)}, "KeyMismatch", "cnf.jkt"},
		"one that is too old":                    {required, []string{"--token", token, "-H", proof("--issued-at", "-5m")}, "BadProof", "proof.maxAge"},
		"no proof":                               {required, []string{"--token", "DPoP " + token}, "BadProof", "the header DPoP is missing"},
		"two proofs":                             {required, []string{"--token", token, "-H", good, "-H", good}, "BadProof", "more than once"},
		"a bound token as a bearer":              {required, []string{"--token", "Bearer " + token, "-H", good}, "BoundAsBearer", "Authorization: DPoP"},
		"a token that is not bound":              {required, []string{"--token", plain}, "NotBound", ""},
		"one that is not bound, where it may be": {ifBound, []string{"--token", plain}, "Allowed", "ALLOWED"},
		"no nonce, where one is wanted":          {nonces, []string{"--token", token, "-H", good}, "UseNonce", "the proof has no nonce"},
		"a nonce of a sidecar's":                 {nonces, []string{"--token", token, "-H", proof("--nonce", "x")}, "UseNonce", "what the sidecars' nonces are made with is not known here"},
	} {
		args := append([]string{"check", "-f", tt.dir, "--request", "GET https://api.example.com/orders/1?page=2"}, tt.args...)
		out, err := run(t, append(args, "-o", "json")...)
		var report struct{ Reason string }
		if failed := json.Unmarshal([]byte(out), &report); failed != nil || report.Reason != tt.want || (err == nil) != (tt.want == "Allowed") {
			t.Errorf("%s: %s, %v; want %s\n%s", name, report.Reason, err, tt.want, out)
		}
		if text, _ := run(t, args...); !strings.Contains(text, tt.says) {
			t.Errorf("%s: the text lacks %q:\n%s", name, tt.says, text)
		}
	}
}
