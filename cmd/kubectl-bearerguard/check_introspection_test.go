package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/check"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
)

// asksIssuer is a policy whose issuer is asked about tokens; %s is more of its introspection, and more of the issuer.
const asksIssuer = `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders, namespace: shop}
spec:
  issuers:
  - name: corp
    issuer: https://login.example.com
    audiences: [orders]
    introspection: {discovery: {}, credentialsSecretRef: {name: corp-introspection}%s}%s
  rules: [{name: read, allow: {scopes: [orders.read]}}]
`

const credentialOfSamples = `---
apiVersion: v1
kind: Secret
metadata: {name: corp-introspection, namespace: shop}
stringData: {client_id: orders-sidecar, client_secret: canary-of-the-secret}
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCheckDecidesWithWhatAnIssuerAnswers(t *testing.T) {
	t.Parallel()
	file := write(t, "rules.yaml", fmt.Sprintf(asksIssuer, "", "")+credentialOfSamples)
	members := func(more string) string {
		return fmt.Sprintf(`{"active":true,"sub":"alice","aud":"orders","scope":"orders.read","exp":%d%s}`, noon.Unix()+60, more)
	}
	type verdict struct {
		Allowed bool
		Reason  string
		Status  int
	}
	for name, c := range map[string]struct {
		answer string // empty: none is given
		token  string
		want   verdict
		says   string // a part of the output
	}{
		"a token that the issuer vouches for": {answer: members(""), want: verdict{true, "Allowed", 0}},
		"white space around the answer":       {answer: "\n " + members("") + "\n", want: verdict{true, "Allowed", 0}},
		"one that was taken back":             {answer: `{"active":false}`, want: verdict{false, "Inactive", 401}},
		"an answer for another audience":      {answer: strings.Replace(members(""), `"aud":"orders"`, `"aud":"mail"`, 1), want: verdict{false, "WrongAudience", 401}},
		"one that has expired by then":        {answer: strings.Replace(members(""), fmt.Sprint(noon.Unix()+60), fmt.Sprint(noon.Unix()-3600), 1), want: verdict{false, "Expired", 401}},
		"one with too few scopes":             {answer: strings.Replace(members(""), "orders.read", "orders.list", 1), want: verdict{false, "InsufficientScope", 403}},
		"an issuer that says a text of active": {answer: `{"active":"true"}`, want: verdict{false, "IntrospectionUnavailable", 503},
			says: "has no member active that is true or false"},
		"an answer that is no JSON":            {answer: `<html>`, want: verdict{false, "IntrospectionUnavailable", 503}, says: "is not one strict JSON object"},
		"no answer":                            {want: verdict{false, "IntrospectionUnavailable", 503}, says: "give what the issuer answers with --introspection FILE"},
		"a text that no issuer is asked about": {answer: members(""), token: "a|b", want: verdict{false, "Malformed", 401}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := c.token
			if token == "" {
				token = "canary-of-the-token"
			}
			args := []string{"check", "-f", file, "-o", "json", "--request", "GET /orders/1", "--token", token}
			if c.answer != "" {
				args = append(args, "--introspection", write(t, "answer.json", c.answer))
			}
			text, err := run(t, args...)
			if c.want.Allowed != (err == nil) || err != nil && !errors.Is(err, exit.ErrNo) {
				t.Fatalf("error is %v", err)
			}
			var r check.Report
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, verdict{r.Allowed, string(r.Reason), r.Status}); diff != "" {
				t.Errorf("verdict (-want +got):\n%s\n%s", diff, text)
			}
			if !strings.Contains(text, c.says) {
				t.Errorf("does not say %q:\n%s", c.says, text)
			}
			if strings.Contains(text, "canary") {
				t.Errorf("holds the token or the credential:\n%s", text)
			}
		})
	}
}

func TestCheckMistakesOfIntrospection(t *testing.T) {
	t.Parallel()
	opaque := []string{"--request", "GET /orders/1", "--token", "0paque", "--introspection"}
	answer := write(t, "answer.json", `{"active":true}`)
	for name, c := range map[string]struct {
		rules, answer string
		refused       bool // there is a verdict
		want          string
	}{
		"a file that is missing": {fmt.Sprintf(asksIssuer, "", "") + credentialOfSamples, "/nowhere", false, "--introspection: "},
		"no Secret among the files": {fmt.Sprintf(asksIssuer, "", ""), answer, true,
			"introspection.credentialsSecretRef: Secret shop/corp-introspection is in none of the files"},
		"a Secret for another method": {fmt.Sprintf(asksIssuer, ", auth: PrivateKeyJWT", "") + credentialOfSamples, answer, true,
			`introspection.credentialsSecretRef: Secret shop/corp-introspection has no entry "private_key"`},
		"keys without signedResponse": {fmt.Sprintf(asksIssuer, "", "\n    keys: {discovery: {}}") + credentialOfSamples, answer, false, "spec.issuers[0]"},
		"signedResponse without keys": {fmt.Sprintf(asksIssuer, ", signedResponse: true", "") + credentialOfSamples, answer, false, "spec.issuers[0]"},
		"another issuer that sees the tokens": {strings.Replace(fmt.Sprintf(asksIssuer, "", ""), "  rules:", `  - name: partner
    issuer: https://login.partner.example
    audiences: [orders]
    introspection: {discovery: {}, credentialsSecretRef: {name: corp-introspection}}
  rules:`, 1) + credentialOfSamples, answer, true, "so each sees the other's"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := run(t, append([]string{"check", "-f", write(t, "rules.yaml", c.rules)}, append(opaque, c.answer)...)...)
			if err == nil || c.refused != errors.Is(err, exit.ErrNo) || !strings.Contains(text+err.Error(), c.want) {
				t.Errorf("%v\n%s\nwant %q", err, text, c.want)
			}
		})
	}
}
