package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// TestTheAdminPortShowsKeysAndNoSecret has one issuer whose keys are fetched and one with a shared secret.
func TestTheAdminPortShowsKeysAndNoSecret(t *testing.T) {
	t.Parallel()
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	var down atomic.Bool
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte(issuer.JWKS()))
	}))
	defer provider.Close()
	const canary = "canary-5f2b6a3e-canary-5f2b6a3e-canary"
	dir := t.TempDir()
	write(t, dir, "orders.yaml", `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - {name: corp, issuer: "https://corp.example", audiences: [orders], keys: {jwksURL: "`+provider.URL+`"}}
  - {name: own, issuer: "https://own.example", audiences: [orders], algorithms: [HS256], keys: {secretRef: {name: own, key: secret}}}
  rules: [{name: all, allow: {authenticated: true}}]
---
{apiVersion: v1, kind: Secret, metadata: {name: own}, stringData: {secret: `+canary+`}}
`)
	p := start(t, newApp(t), "--policies", dir, "--key-allow-http", "--key-allow-nets", "127.0.0.0/8")
	type answer struct {
		Snapshot string
		Issuers  []struct {
			Policy, Issuer string
			Keys           []struct {
				Kid, Kty, Crv, Alg, Use, Thumbprint string
				Bits                                int
				Fits                                []string
			}
			Fetch *struct {
				Fetched, Next time.Time
				Failures      int
				Error         string
			}
		}
	}
	var got answer
	var text string
	look := func() bool {
		got = answer{}
		_, text = fetch(t, p.admin+"/debug/keys", "")
		return json.Unmarshal([]byte(text), &got) == nil && len(got.Issuers) == 2 && len(got.Issuers[0].Keys) == 1
	}
	p.eventually(t, "the keys are there", look)
	corp, own := got.Issuers[0], got.Issuers[1]
	if k := corp.Keys[0]; corp.Policy != "default/orders" || corp.Issuer != "corp" || k.Kid != "one" || k.Kty != "OKP" || k.Crv != "Ed25519" ||
		k.Alg != "EdDSA" || k.Use != "sig" || len(k.Thumbprint) != 43 {
		t.Errorf("corp: %+v", corp)
	}
	if f := corp.Fetch; f == nil || time.Since(f.Fetched) > time.Minute || time.Until(f.Next) < time.Minute || f.Error != "" {
		t.Errorf("fetches of corp: %+v", f)
	}
	if len(own.Keys) != 1 || own.Keys[0].Kty != "oct" || own.Keys[0].Thumbprint != "" || own.Keys[0].Fits != nil || own.Fetch != nil || got.Snapshot == "" {
		t.Errorf("own: %+v", own)
	}
	if strings.Contains(text, canary[:16]) || strings.Contains(text, base64.RawURLEncoding.EncodeToString([]byte(canary))[:16]) {
		t.Errorf("the secret is in %s", text)
	}
	down.Store(true)
	p.get(t, p.url+"/x", gatetest.NewIssuer("https://corp.example", "two").Token(time.Now(), nil)) // a kid that nobody knows
	p.eventually(t, "the failure is told", func() bool {
		return look() && got.Issuers[0].Fetch.Failures > 0 && strings.Contains(got.Issuers[0].Fetch.Error, "502")
	})
	p.stop(t)
}
