package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// TestRefusalsAreShownWithTheirCause asks the admin port and the log why requests were refused.
func TestRefusalsAreShownWithTheirCause(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	write(t, dir, "orders.yaml", policyFor(issuer, "clerk"))
	p := start(t, newApp(t), "--policies", dir, "--log-level", "debug")
	const canary = "canary-5f2b6a3e"
	now := time.Now()
	slash := gatetest.NewIssuer("https://corp.example/", "one")
	token := issuer.Token(now, nil)
	wants := map[string]struct{ token, reason, cause string }{
		"a final slash":     {slash.Token(now, map[string]any{"sub": canary}), "UnknownIssuer", `iss differs from "https://corp.example" (issuer corp of default/orders) by a final slash`},
		"another iss":       {gatetest.NewIssuer(canary, "one").Token(now, nil), "UnknownIssuer", `iss is no issuer's of the policies; want "https://corp.example"`},
		"sub a number":      {issuer.Token(now, map[string]any{"sub": 4711}), "BadClaim", "sub is a number, not a string"},
		"another audience":  {issuer.Token(now, map[string]any{"aud": canary}), "WrongAudience", `aud has none of the audiences; want "orders"`},
		"an old token":      {issuer.Token(now.Add(-3*time.Hour), map[string]any{"sub": canary}), "Expired", "exp has passed; clockSkew is 30s"},
		"an opaque token":   {canary, "Malformed", "the token has one part: it is cut off, or an opaque token that only its issuer can read"},
		"another signature": {token[:len(token)-4] + "AAAA", "BadSignature", `the signature does not verify; tried Ed25519 key "one"`},
		"no token":          {"", "NoToken", `the request has no token; want it in the header Authorization after "Bearer "`},
	}
	for _, tt := range wants {
		p.get(t, p.url+"/orders/7", tt.token)
	}
	_, text := fetch(t, p.admin+"/debug/refusals", "")
	var got struct {
		Refusals []struct {
			Reason, Cause, Method, Path, RequestID, Policy, IssuerEntry, Failed string
			Audiences                                                           []string
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if status, index := fetch(t, p.admin+"/debug", ""); status != 200 || !strings.Contains(index, "/debug/refusals") {
		t.Errorf("/debug: %d %q", status, index)
	}
	p.stop(t)
	for name, tt := range wants {
		shown := false
		for _, r := range got.Refusals {
			shown = shown || r.Reason == tt.reason && r.Cause == tt.cause && r.Method == "GET" && r.Path == "/orders/7"
		}
		if !shown {
			t.Errorf("%s: /debug/refusals lacks %s, %s:\n%s", name, tt.reason, tt.cause, text)
		}
		if quoted, _ := json.Marshal(tt.cause); !strings.Contains(p.log.String(), `"cause":`+string(quoted)) {
			t.Errorf("%s: the log lacks the cause %s", name, quoted)
		}
	}
	for _, r := range got.Refusals {
		named := r.Policy == "default/orders" && r.IssuerEntry == "corp" && len(r.Audiences) == 1 && r.Audiences[0] == "orders"
		if !named || (r.Failed != "") != (r.Reason == "NoToken") || !strings.Contains(p.log.String(), `"requestID":"`+r.RequestID+`"`) || r.RequestID == "" {
			t.Errorf("%+v is to name the policy's issuer, and the request as the log does", r)
		}
	}
	for name, shown := range map[string]string{"the log": p.log.String(), "/debug/refusals": text} {
		for _, secret := range []string{canary, "4711", token[strings.LastIndexByte(token, '.')+1:][:40]} {
			if strings.Contains(shown, secret) {
				t.Errorf("%q is in %s", secret, name)
			}
		}
	}
}
