package token

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// rfcVector is an example of a standard. Use says what it is: "verify", a JWT; "front", a JWS whose payload is no JSON;
// "decrypt", a JWE that is no JWT; "nested", a JWT in a JWE.
type rfcVector struct {
	Name, Use, Token, Plain string
	Issuer                  string          // its iss; joe if it is not given
	Key, Decryption         json.RawMessage // Key decrypts where Use is "decrypt"
	Want                    decision.Reason // where we refuse what the standard shows
	Why                     string          // of Want
}

func rfcVectors(t *testing.T, file string) []rfcVector {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []rfcVector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

// TestRFCVectors runs the examples of RFC 7515, 7516, 7519, 8037 and 7520 through the whole verifier.
func TestRFCVectors(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/rfc.json", "testdata/rfc7520.json"} {
		for _, v := range rfcVectors(t, file) {
			t.Run(v.Name, func(t *testing.T) {
				t.Parallel()
				if (v.Want == "") != (v.Why == "") {
					t.Error("a refusal and its reason go together")
				}
				v.run(t)
			})
		}
	}
}

// verifier is one for the example's issuer and keys.
func (v rfcVector) verifier(t *testing.T) *Verifier {
	t.Helper()
	parse := func(data json.RawMessage, use keyset.Use) *keyset.Set {
		if data == nil {
			return nil
		}
		s, err := keyset.Parse(data, use)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	c := Config{Issuer: policy.Issuer{
		Issuer: "joe", AnyAudience: true, Algorithms: everyAlgorithm(), Decryption: &policy.Decryption{},
	}}
	if v.Issuer != "" {
		c.Issuer.Issuer = v.Issuer
	}
	if v.Use == "decrypt" {
		c.Decryption = parse(v.Key, keyset.Decrypt)
	} else {
		c.Keys, c.Decryption = parse(v.Key, keyset.Verify), parse(v.Decryption, keyset.Decrypt)
	}
	return newVerifier(t, c)
}

func (v rfcVector) run(t *testing.T) {
	verifier := v.verifier(t)
	then := time.Unix(1300819380-60, 0) // a minute before the examples expire
	tok, no := Parse(v.Token)
	var got Verified
	if !no.Refused() {
		got, no = verifier.Verify(tok, then)
	}
	reason := no.Reason
	switch v.Use {
	case "verify", "nested":
		if reason == "" && got.Claims["http://example.com/is_root"] != true {
			t.Error("the claims are not the example's")
		}
	case "front":
		if reason != decision.Malformed {
			t.Errorf("a payload that is no JSON: got %q", reason)
		}
		if tok, no = front(v.Token); !no.Refused() {
			_, no = verifier.signedBy(tok)
		}
		reason = no.Reason
	case "decrypt":
		if v.Want != "" {
			break
		}
		if reason != decision.Unsigned {
			t.Errorf("nothing signed inside: got %q", reason)
		}
		reason = ""
		if _, content, _ := verifier.open(tok); !content.ok || content.plain != v.Plain {
			t.Errorf("decrypted %v, to the plaintext of the example %v", content.ok, content.plain == v.Plain)
		}
	default:
		t.Fatalf("unknown use %q", v.Use)
	}
	if reason != v.Want {
		t.Errorf("got %q, want %q", reason, v.Want)
	}
}
