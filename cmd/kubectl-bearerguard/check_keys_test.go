package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		"a key that is left out":       {`{"keys":[{"kty":"XYZ"},` + jwk + `]}`, "", "RS256", "left out: key 1: has a kty", true},
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
  rules: [{name: all, allow: {}}]
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
