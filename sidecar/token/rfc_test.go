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

// TestRFCVectors runs the examples of the standards. RFC 7520's are among Wycheproof's.
func TestRFCVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/rfc.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Use, Token, Plain string
		Want                    decision.Reason
		Key                     json.RawMessage
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	joe := policy.Issuer{Issuer: "joe", AnyAudience: true, Algorithms: everyAlgorithm()}
	then := time.Unix(1300819380-60, 0)
	for _, tc := range vectors {
		t.Run(tc.Name, func(t *testing.T) {
			t.Parallel()
			use := keyset.Verify
			if tc.Use == "decrypt" {
				use = keyset.Decrypt
			}
			keys, err := keyset.Parse(tc.Key, use)
			if err != nil {
				t.Fatal(err)
			}
			v := newVerifier(t, Config{Issuer: joe, Keys: keys})
			switch tc.Use {
			case "verify":
				tok, reason := Parse(tc.Token)
				if reason == "" {
					var got Verified
					got, reason = v.Verify(tok, then)
					if reason == "" && got.Claims["http://example.com/is_root"] != true {
						t.Error("the claims are not the example's")
					}
				}
				if reason != tc.Want {
					t.Errorf("got %q, want %q", reason, tc.Want)
				}
			case "front":
				tok, reason := front(tc.Token)
				if reason == "" {
					_, reason = v.signedBy(tok)
				}
				if reason != "" {
					t.Errorf("got %q", reason)
				}
				if _, reason := Parse(tc.Token); reason != decision.Malformed {
					t.Errorf("a payload that is no JSON: got %q", reason)
				}
			case "decrypt":
				tok, reason := Parse(tc.Token)
				if reason != "" {
					t.Fatal(reason)
				}
				v := &Verifier{decryption: newChoice(keys)}
				if _, got := v.open(tok); !got.ok || got.plain != tc.Plain {
					t.Errorf("decrypted %v, to the plaintext of the example %v", got.ok, got.plain == tc.Plain)
				}
			default:
				t.Fatalf("unknown use %q", tc.Use)
			}
		})
	}
}
