package token

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

// ignoredMembers say where a key may be found (RFC 7515 sections 4.1.2 and 4.1.5 to 4.1.8).
func ignoredMembers() []string { return []string{"jku", "x5u", "x5c", "x5t", "x5t#S256"} }

// TestIgnoredMembers gives genuine tokens the header members that are ignored, of every type and value.
func TestIgnoredMembers(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(decryption(true))})
	values := map[string]any{
		"a URL": "https://login.example.com/token_keys", "text": "abc", "empty text": "", "control bytes": "a\r\nb\x00", "a number": 7,
		"a boolean": true, "null": nil, "a list": []string{"MII", "\u202e"}, "an empty list": []any{}, "a list of anything": []any{1, nil, object{}},
		"an object": object{"keys": []any{public(k.rsa2, "rsa", "")}},
	}
	for _, name := range ignoredMembers() {
		for kind, value := range values {
			member := object{name: value}
			inner := sign("RS256", k.rsa, with(object{"alg": "RS256", "kid": "rsa"}, member), claims())
			for form, raw := range map[string]string{
				"a JWS":            inner,
				"the one in a JWE": seal("A256KW", "A256GCM", k.secret[:32], object{"cty": "JWT", "kid": "32"}, inner),
				"a JWE":            sealDirect(with(object{"cty": "JWT", "kid": "32"}, member), nestedToken()),
				"a JWE of claims":  sealDirect(with(object{"kid": "32"}, member), text(claims())),
			} {
				if _, no := refusal(v, raw); no.Refused() {
					t.Errorf("%s, %s, in %s: %s, %v", name, kind, form, no.Reason, no.Cause)
				}
			}
		}
	}
}

// sealDirect is direct under a header of any members, which jwx would not write. The key is the first 32 bytes of the secret.
func sealDirect(header object, plain string) string {
	return direct(text(with(object{"alg": "dir", "enc": "A256GCM"}, header)), plain)
}

// TestIgnoredMembersBringNoKey signs with a key of the attacker's and says where it is: in the header and at a URL that has
// it. The token is refused, and nobody asks the URL.
func TestIgnoredMembersBringNoKey(t *testing.T) {
	t.Parallel()
	k := keys()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, text(object{"keys": []object{public(k.rsa2, "rsa", ""), public(k.rsa2, "evil", "")}}))
	}))
	t.Cleanup(server.Close)
	v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(decryption(false))})
	members := object{"jku": server.URL, "x5u": server.URL, "x5c": []string{b64([]byte("certificate"))}, "x5t": "AAAA", "x5t#S256": "AAAA"}
	for kid, want := range map[string]decision.Reason{"rsa": decision.BadSignature, "evil": decision.UnknownKey} {
		head := with(object{"alg": "RS256", "kid": kid}, members)
		raw := sign("RS256", k.rsa2, head, claims())
		if _, got := verify(v, raw); got != want {
			t.Errorf("kid %s: got %q, want %q", kid, got, want)
		}
		sealed := sealDirect(with(object{"cty": "JWT", "kid": "32"}, members), raw)
		if _, got := verify(v, sealed); got != want {
			t.Errorf("kid %s, encrypted: got %q, want %q", kid, got, want)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("jku or x5u was asked %d times", n)
	}
}
