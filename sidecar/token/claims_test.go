package token

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
)

func TestVerified(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	payload := with(claims(), object{"n": json.Number("1.50"), "l": []any{"a", true, nil}})
	got, reason := verify(v, sign("ES256", k.p256, object{"alg": "ES256", "kid": "p256"}, payload))
	if reason != "" {
		t.Fatal(reason)
	}
	if got.Claims["n"] != json.Number("1.50") {
		t.Errorf("a number is %#v, want its own text", got.Claims["n"])
	}
	got.Claims = nil
	want := Verified{
		Issuer: "https://login.example.com", Subject: "alice", JTI: "id-1", Session: "session-1", KeyID: "p256",
		Expiry: now.Add(time.Hour + DefaultSkew), IssuedAt: now.Add(-time.Minute),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	aged := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(func(i *policy.Issuer) { i.MaxAge = &policy.Duration{Duration: 10 * time.Minute} })})
	got, _ = verify(aged, sign("ES256", k.p256, object{"alg": "ES256", "kid": "p256"}, payload))
	if want := now.Add(9*time.Minute + DefaultSkew + 1); !got.Expiry.Equal(want) {
		t.Errorf("with maxAge, expiry is %s, want %s", got.Expiry, want)
	}
}

func opens(d policy.Decryption) func(*policy.Issuer) {
	return func(i *policy.Issuer) { i.Decryption = &d }
}

func TestNewVerifierRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(*policy.Issuer)
		want string
	}{
		"no issuer":              {func(i *policy.Issuer) { i.Issuer = "" }, "issuer: give issuer or anyIssuer: true, exactly one of the two"},
		"issuer and anyIssuer":   {func(i *policy.Issuer) { i.AnyIssuer = true }, "issuer: give issuer or anyIssuer: true, exactly one of the two"},
		"no audience":            {func(i *policy.Issuer) { i.Audiences = nil }, "audiences: give audiences or anyAudience: true, exactly one of the two"},
		"none":                   {func(i *policy.Issuer) { i.Algorithms = []policy.Algorithm{"RS256", "none"} }, `algorithms[1]: "none" is not an algorithm that is verified; want RS256, ES256, EdDSA or such`},
		"a negative skew":        {func(i *policy.Issuer) { i.ClockSkew = &policy.Duration{Duration: -1} }, "clockSkew: is -1ns; want 0s to 5m0s"},
		"a skew of six minutes":  {func(i *policy.Issuer) { i.ClockSkew = &policy.Duration{Duration: 6 * time.Minute} }, "clockSkew: is 6m0s; want 0s to 5m0s"},
		"a maxAge of nothing":    {func(i *policy.Issuer) { i.MaxAge = &policy.Duration{} }, "maxAge: is 0s; want more than 0s"},
		"an empty type":          {func(i *policy.Issuer) { i.Types = []string{""} }, "types[0]: is empty; want a typ such as at+jwt"},
		"RSA1_5":                 {opens(policy.Decryption{KeyAlgorithms: []policy.KeyAlgorithm{"dir", "RSA1_5"}}), `decryption.keyAlgorithms[1]: "RSA1_5" is not an algorithm that is decrypted; want RSA-OAEP-256, ECDH-ES or such`},
		"an unknown enc":         {opens(policy.Decryption{ContentAlgorithms: []policy.ContentAlgorithm{"A512GCM"}}), `decryption.contentAlgorithms[0]: "A512GCM" is not an algorithm that is decrypted; want A256GCM or such`},
		"no key algorithms":      {opens(policy.Decryption{KeyAlgorithms: []policy.KeyAlgorithm{}}), "decryption: keyAlgorithms or contentAlgorithms is an empty list"},
		"no content algorithms":  {opens(policy.Decryption{ContentAlgorithms: []policy.ContentAlgorithm{}}), "decryption: keyAlgorithms or contentAlgorithms is an empty list"},
		"a malformed claim path": {func(i *policy.Issuer) { i.RequiredClaims = []string{"a..b"} }, "requiredClaims[0]: "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewVerifier(Config{Issuer: issuer(tc.edit)})
			if err == nil || len(err.Error()) < len(tc.want) || err.Error()[:len(tc.want)] != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestWants(t *testing.T) {
	t.Parallel()
	k := keys()
	raw, _ := Parse(sign("ES256", k.p256, object{"alg": "ES256"}, claims()))
	other, _ := Parse(sign("ES256", k.p256, object{"alg": "ES256"}, with(claims(), object{"iss": "other"})))
	v := newVerifier(t, Config{Issuer: issuer(nil)})
	whoever := newVerifier(t, Config{Issuer: issuer(func(i *policy.Issuer) { i.Issuer, i.AnyIssuer = "", true })})
	if !v.Wants(raw) || v.Wants(other) || !whoever.Wants(other) {
		t.Error("Wants goes by iss alone")
	}
}
