package explain_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/explain"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

var start = time.Unix(1_800_000_000, 0)

func clock() time.Time { return start }

var corp = gatetest.NewIssuer("https://login.example.com", "k1")

func orders() policy.Spec {
	return policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{{
			Name: "read", Match: []policy.Match{{Paths: []string{"/orders/**"}}},
			Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"orders.read"}}},
		}},
		Forward: &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: "sub"}, {Name: "X-Team", Claim: "team"}}},
	}
}

func ask(t testing.TB, policies policy.Spec, token string) explain.Report {
	t.Helper()
	g := gate.New(gate.Options{Now: clock})
	g.Swap(gatetest.Snapshot(t, clock, gatetest.Policy("orders", policies)))
	q := explain.Question{Method: "GET", Target: "/orders/7?secret=1", Host: "orders", Header: http.Header{"authorization": {"Bearer " + token}}, Port: 8080}
	return explain.Explain(g, &q, start).Report
}

func TestReports(t *testing.T) {
	t.Parallel()
	in := ask(t, orders(), corp.Token(start, map[string]any{"scope": "orders.read", "sub": "alice"}))
	if !in.Allowed || in.Target != "/orders/7?secret=1" || !slices.Equal(in.Headers, []string{"X-User: alice"}) || len(in.LeftOut) != 1 || in.LeftOut[0].Header != "X-Team" {
		t.Errorf("let in: %+v", in)
	}
	lacks := ask(t, orders(), corp.Token(start, nil))
	if lacks.Status != 403 || lacks.Reason != decision.InsufficientScope || !slices.Equal(lacks.Scopes, []string{"orders.read"}) || lacks.Rule != "read" || len(lacks.Answer) != 1 {
		t.Errorf("a scope is missing: %+v", lacks)
	}
	old := ask(t, orders(), corp.Token(start.Add(-2*time.Hour), nil))
	if old.Reason != decision.Expired || !strings.Contains(old.Cause, "exp was 1h ago") || old.IssuerEntry != "corp" || old.Issuers[0].Reason != decision.Expired {
		t.Errorf("expired, the cause with its values: %+v", old)
	}
	opaque := orders()
	opaque.Issuers[0].Keys, opaque.Issuers[0].Introspection = policy.KeySource{}, &policy.Introspection{URL: "https://login.example.com/i", CredentialsSecretRef: policy.SecretRef{Name: "x"}}
	if r := ask(t, opaque, "opaque"); r.Reason != decision.IntrospectionUnavailable || len(r.Notes) != 1 {
		t.Errorf("an opaque token: %+v", r)
	}
}

// sealed encrypts a token with a shared key (RFC 7516, alg dir, enc A128GCM).
func sealed(key []byte, inner string) string {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A128GCM","cty":"JWT"}`))
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	iv := make([]byte, gcm.NonceSize())
	out := gcm.Seal(nil, iv, []byte(inner), []byte(head))
	text, tag := out[:len(out)-16], out[len(out)-16:]
	parts := []string{head, ""}
	for _, part := range [][]byte{iv, text, tag} {
		parts = append(parts, base64.RawURLEncoding.EncodeToString(part))
	}
	return strings.Join(parts, ".")
}

// TestAnExplanationDecryptsForNobody has encrypted tokens explained: whoever caught one cannot read it, and must not here.
func TestAnExplanationDecryptsForNobody(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f2b6a3e"
	key := []byte("0123456789abcdef")
	spec := orders()
	spec.Issuers[0].Decryption = &policy.Decryption{SecretRef: policy.KeyRef{Name: "jwe", Key: "k"}}
	keys := gatetest.Bundle(t, gatetest.Policy("orders", spec)).KeySets
	keys[bundle.DecryptionID("shop", spec.Issuers[0])] = bundle.KeySet{JWKS: fmt.Appendf(nil, `{"keys":[{"kty":"oct","k":%q}]}`, base64.RawURLEncoding.EncodeToString(key))}
	s, err := gate.NewSnapshot(bundle.Assemble([]bundle.Object{gatetest.Policy("orders", spec)}, keys), "1", gate.SnapshotOptions{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(gate.Options{Now: clock})
	g.Swap(s)
	for claims, want := range map[string]decision.Reason{"sub": decision.Allowed, "aud": decision.WrongAudience, "iss": decision.UnknownIssuer, "nbf": decision.BadClaim} {
		all := map[string]any{"scope": "orders.read", claims: canary}
		q := explain.Question{
			Method: "GET", Target: "/orders/7", Host: "orders",
			Header: http.Header{"Authorization": {"Bearer " + sealed(key, corp.Token(start, all))}},
		}
		a := explain.Explain(g, &q, start)
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if a.Report.Reason != want || strings.Contains(string(text), canary) {
			t.Errorf("a canary in %s, want %s: %s", claims, want, text)
		}
	}
}

// FuzzQuestion asks questions of any form.
func FuzzQuestion(f *testing.F) {
	g := gate.New(gate.Options{Now: clock})
	g.Swap(gatetest.Snapshot(f, clock, gatetest.Policy("orders", orders())))
	f.Add(`{"method":"GET","target":"/orders/1","host":"a","header":{"authorization":["Bearer ` + corp.Token(start, nil) + `"]},"remote":"::1"}`)
	f.Add(`{"method":"POST","target":"/..","body":"e30="}`)
	f.Fuzz(func(t *testing.T, text string) {
		var q explain.Question
		if json.Unmarshal([]byte(text), &q) != nil {
			return
		}
		a := explain.Explain(g, &q, start)
		if a.Report.Reason == decision.InternalError {
			t.Errorf("%s: it went wrong", text)
		}
		if _, err := json.Marshal(a); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	})
}
