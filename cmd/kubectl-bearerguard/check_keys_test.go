package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

// TestCheckSaysWhatIsWrongWithKeys has a Secret whose text is no plain key: what becomes of a genuine token, and what is said.
func TestCheckSaysWhatIsWrongWithKeys(t *testing.T) {
	t.Parallel()
	_, signing := samples(t)
	token := mintFor(t, signing)
	public, err := run(t, "token", "keys", "--public", "--key", signing)
	if err != nil {
		t.Fatal(err)
	}
	jwk := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(strings.Join(strings.Fields(public), "")), `{"keys":[`), `]}`)
	tests := map[string]struct {
		text, ref, algorithms string
		says                  string
		allowed               bool
	}{
		"a list of keys":               {"[" + jwk + "]", "", "RS256, HS256", "", true},
		"a set after a mark":           {"\ufeff" + public, "", "RS256, HS256", "", true},
		"a set after a comment":        {"# corp\n" + public, "", "RS256, HS256", "holds a JWK that is not the whole text", false},
		"a set said to be a secret":    {public, ", format: HMAC", "RS256, HS256", "is a JWK Set; as format: HMAC says", false},
		"text beside other algorithms": {strings.Repeat("s", 40), "", "RS256, HS256", "it is an HMAC secret only if every algorithm", false},
		"a secret with a line break":   {strings.Repeat("s", 40) + "\n", "", "HS256", "the secret ends in a line break", false},
		"keys for other algorithms":    {public, "", "ES256, HS256", "holds no key for the issuer's algorithms (ES256, HS256); its keys fit ", false},
		"a key that is left out":       {`{"keys":[{"kty":"XYZ"},` + jwk + `]}`, "", "RS256", "left out: keys[0]: has a kty", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "policy.yaml")
			text := fmt.Sprintf(`
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: p}
spec:
  issuers: [{name: corp, issuer: "https://login.example.com", audiences: [orders], keys: {secretRef: {name: corp, key: k%s}}, algorithms: [%s]}]
  rules: [{name: all, allow: {authenticated: true}}]
---
apiVersion: v1
kind: Secret
metadata: {name: corp}
data: {k: %s}
`, tc.ref, tc.algorithms, base64.StdEncoding.EncodeToString([]byte(tc.text)))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := run(t, "check", "-f", file, "--token", token, "--request", "GET /")
			if allowed := err == nil; allowed != tc.allowed || !strings.Contains(out, tc.says) {
				t.Errorf("error %v; want %q in\n%s", err, tc.says, out)
			}
			if note := strings.Contains(out, "note: "); note != (tc.says != "") {
				t.Errorf("notes: %v in\n%s", note, out)
			}
		})
	}
}

// TestATokenForgedWithThePublicTextIsRefused is the attack: whoever can read the public key signs a token with its text.
func TestATokenForgedWithThePublicTextIsRefused(t *testing.T) {
	t.Parallel()
	_, signing := samples(t)
	pem, err := run(t, "token", "keys", "--public", "--key", signing, "--format", "pem")
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := run(t, "token", "keys", "--public", "--key", signing)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(pem), "\n")
	der := strings.Join(lines[1:len(lines)-1], "")
	texts := map[string]string{
		"PEM": pem, "PEM after a comment": "# corp\n" + pem, "PEM after a mark": "\ufeff" + pem, "base64 DER": der, "base64 DER and a line break": der + "\n",
		"base64 DER after a word": "key: " + der, "base64 of PEM": base64.StdEncoding.EncodeToString([]byte(pem)), "a set": jwks, "a set after a comment": "# corp\n" + jwks,
		"a set, unfinished": jwks[:len(jwks)/2], "a list": "[" + jwks + "]",
	}
	for name, text := range texts {
		for _, how := range []string{"algorithms: [RS256, HS256]", "algorithms: [HS256]", "algorithms: [HS256, RS256], format: HMAC"} {
			algorithms, format, _ := strings.Cut(how, "], ")
			if format != "" {
				algorithms, format = algorithms+"]", ", "+format
			}
			file := filepath.Join(t.TempDir(), "policy.yaml")
			policy := fmt.Sprintf(`
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: p}
spec:
  issuers: [{name: corp, anyIssuer: true, anyAudience: true, keys: {secretRef: {name: corp, key: k%s}}, %s}]
  rules: [{name: all, allow: {authenticated: true}}]
---
apiVersion: v1
kind: Secret
metadata: {name: corp}
data: {k: %s}
`, format, algorithms, base64.StdEncoding.EncodeToString([]byte(text)))
			if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := run(t, "check", "-f", file, "--token", forge(text), "--request", "GET /")
			if !errors.Is(err, exit.ErrNo) {
				t.Errorf("%s, %s: a forged token is taken: %v\n%s", name, how, err, out)
			}
		}
	}
}

// forge signs a token that never expires soon with HS256 and the text as the secret.
func forge(secret string) string {
	part := base64.RawURLEncoding.EncodeToString
	input := part([]byte(`{"alg":"HS256"}`)) + "." + part([]byte(`{"sub":"mallory","exp":32503680000}`))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return input + "." + part(mac.Sum(nil))
}
