package proof_test

import (
	"encoding/json"
	"net/http"
	"testing"
)

// A proof is refused by the sidecar wherever oauth4webapi refuses it as a resource server, and taken wherever that takes it, but for what stricter names. The cases are
// made with jose: those of oauth4webapi's and oidc-provider's own tests, and more.
func TestProofsOfJose(t *testing.T) {
	t.Parallel()
	stricter := map[string]bool{"nonce null": true, "nonce as a number": true} // a nonce is a string, whether one is wanted or not
	const url = "https://api.example.com/orders"
	var made struct {
		JWKS  json.RawMessage
		Cases []struct {
			Name, Method, Authorization, Says string
			DPoP                              []string
		}
	}
	if err := json.Unmarshal([]byte(client(t, "proofs.mjs", url)), &made); err != nil {
		t.Fatal(err)
	}
	address := sidecar(t, func(string) string {
		return `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - name: corp
    issuer: https://login.example.com
    audiences: [orders]
    keys: {jwks: '` + string(made.JWKS) + `'}
    proof: {dpop: IfBound, publicURLs: ["https://api.example.com"]}
  rules:
  - name: read
    allow: {authenticated: true}
`
	})
	taken := 0
	for _, c := range made.Cases {
		r, err := http.NewRequestWithContext(t.Context(), c.Method, "http://"+address+"/orders", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", c.Authorization)
		r.Header["Dpop"] = c.DPoP
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var problem struct{ Reason string }
		good := res.StatusCode == http.StatusOK
		if good {
			taken++
		} else {
			_ = json.NewDecoder(res.Body).Decode(&problem)
		}
		_ = res.Body.Close()
		if want := c.Says == "" && !stricter[c.Name]; good != want || !good && res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d %s; oauth4webapi says %q", c.Name, res.StatusCode, problem.Reason, c.Says)
		}
	}
	if len(made.Cases) < 80 || taken != 6 {
		t.Errorf("%d cases, %d taken", len(made.Cases), taken)
	}
}
