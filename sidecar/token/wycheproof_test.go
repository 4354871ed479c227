package token

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// wycheproof is the folder of Project Wycheproof's vectors.
const wycheproof = "testdata/wycheproof"

// readVectors reads a file of Project Wycheproof's into v.
func readVectors(t *testing.T, file string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(wycheproof, file))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// vectors is a Wycheproof file of JOSE vectors.
type vectors struct {
	TestGroups []struct {
		Type            string
		Comment         string
		Public, Private json.RawMessage
		Tests           []vector
	}
}

type vector struct {
	TcID     int    `json:"tcId"`
	Comment  string `json:"comment"`
	JWS, JWE json.RawMessage
	PT       *string `json:"pt"`
	Result   string  `json:"result"`
}

// deviation is a vector that we settle otherwise than its label, and why.
type deviation struct {
	File   string `json:"file"`
	TcIDs  []int  `json:"tcIds"`
	Reason string `json:"reason"`
}

func deviations(t *testing.T, file string) map[int]string {
	t.Helper()
	data, err := os.ReadFile("testdata/wycheproof-deviations.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []deviation
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	out := map[int]string{}
	for _, d := range list {
		for _, id := range d.TcIDs {
			if d.File == file {
				out[id] = d.Reason
			}
		}
	}
	return out
}

// TestWycheproof runs the JOSE vectors through key parsing, the strict front, the choice of algorithm and key, and the
// cryptography. Most payloads are not JSON, so the claims are left out.
func TestWycheproof(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"json_web_signature_test.json", "json_web_encryption_test.json", "json_web_key_test.json", "json_web_crypto_test.json",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			var vs vectors
			readVectors(t, file, &vs)
			odd := deviations(t, file)
			for _, g := range vs.TestGroups {
				for _, tc := range g.Tests {
					accepted, why := tc.run(t, g.Public, g.Private)
					reason, deviates := odd[tc.TcID]
					delete(odd, tc.TcID)
					if (accepted == (tc.Result == "valid")) == deviates {
						t.Errorf("%d %s (%s): labelled %s, accepted %v (%s), deviation %q", tc.TcID, tc.Comment, g.Comment, tc.Result, accepted, why, reason)
					}
				}
			}
			for id := range odd {
				t.Errorf("deviation %d names no vector", id)
			}
		})
	}
}

// run reports whether the vector is accepted, and the reason if it is not.
func (v vector) run(t *testing.T, public, private json.RawMessage) (bool, string) {
	t.Helper()
	if v.JWE != nil {
		return v.decrypts(private)
	}
	if public == nil {
		public = private
	}
	keys, err := keyset.Parse(public, keyset.Verify)
	if err != nil {
		return false, err.Error()
	}
	i := issuer(nil)
	for _, a := range append(defaultAlgorithms(), "ES256K", "HS256", "HS384", "HS512") {
		i.Algorithms = append(i.Algorithms, policy.Algorithm(a))
	}
	verifier := newVerifier(t, Config{Issuer: i, Keys: keys})
	tok, no := front(compact(v.JWS))
	switch {
	case no.Refused():
		return false, string(no.Reason)
	case tok.header.encrypted:
		return false, "is a JWE"
	}
	_, no = verifier.signedBy(tok)
	return !no.Refused(), string(no.Reason)
}

func (v vector) decrypts(private json.RawMessage) (bool, string) {
	keys, err := keyset.Parse(private, keyset.Decrypt)
	if err != nil {
		return false, err.Error()
	}
	tok, no := front(compact(v.JWE))
	switch {
	case no.Refused():
		return false, string(no.Reason)
	case !tok.header.encrypted:
		return false, "is a JWS"
	}
	verifier := &Verifier{opening: opening{decryption: newChoice(keys)}}
	_, got, _ := verifier.open(tok)
	if !got.ok {
		return false, string(decision.NotDecryptable)
	}
	if v.PT != nil && hex.EncodeToString([]byte(got.plain)) != *v.PT {
		return false, "another plaintext"
	}
	return true, ""
}

// compact is the token's text; some vectors are JSON serialisations, given as objects.
func compact(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
