package token

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestAlgorithmAttacks gives an alg or a kid that is not the signature's: none in every case, an RSA key as an HMAC
// secret, an alg that does not fit the key, a kid of somebody else.
func TestAlgorithmAttacks(t *testing.T) {
	t.Parallel()
	k := keys()
	der, _ := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	listed := func(algs ...policy.Algorithm) func(*policy.Issuer) {
		return func(i *policy.Issuer) { i.Algorithms = algs }
	}
	rs := func(header object) string { return sign("RS256", k.rsa, header, claims()) }
	unsigned := func(header object) string { return enc64(text(header)) + "." + enc64(text(claims())) + "." }
	tests := map[string]struct {
		edit func(*policy.Issuer)
		raw  string
		want decision.Reason
	}{
		"none with a signature":                  {nil, rs(object{"alg": "none"}), decision.Unsigned},
		"none without a signature":               {nil, unsigned(object{"alg": "none"}), decision.Unsigned},
		"None":                                   {nil, unsigned(object{"alg": "None"}), decision.AlgorithmNotAllowed},
		"NONE over a real signature":             {nil, rs(object{"alg": "NONE", "kid": "rsa"}), decision.AlgorithmNotAllowed},
		"nOnE":                                   {nil, rs(object{"alg": "nOnE", "kid": "rsa"}), decision.AlgorithmNotAllowed},
		"an empty alg over a real signature":     {nil, rs(object{"alg": "", "kid": "rsa"}), decision.AlgorithmNotAllowed},
		"a missing alg over a real signature":    {nil, rs(object{"kid": "rsa"}), decision.Malformed},
		"a made-up alg over a real signature":    {nil, rs(object{"alg": "RS257", "kid": "rsa"}), decision.AlgorithmNotAllowed},
		"a lower-case alg over a real signature": {nil, rs(object{"alg": "rs256", "kid": "rsa"}), decision.AlgorithmNotAllowed},
		"an alg with white space":                {nil, rs(object{"alg": "RS256 ", "kid": "rsa"}), decision.AlgorithmNotAllowed},
		"an alg that is a number":                {nil, rs(object{"alg": 256, "kid": "rsa"}), decision.Malformed},
		"an alg that is null":                    {nil, rs(object{"alg": nil, "kid": "rsa"}), decision.Malformed},
		"an alg that is a list":                  {nil, rs(object{"alg": []string{"RS256"}, "kid": "rsa"}), decision.Malformed},
		"another RSA alg than the signature's":   {nil, rs(object{"alg": "RS384", "kid": "rsa"}), decision.BadSignature},
		"PSS said, PKCS 1 done":                  {nil, rs(object{"alg": "PS256", "kid": "rsa"}), decision.BadSignature},
		"RS to HS with the public PEM":           {listed("RS256", "HS256"), sign("HS256", publicPEM, object{"alg": "HS256", "kid": "rsa"}, claims()), decision.AlgorithmNotAllowed},
		"RS to HS with the public PEM, no kid":   {listed("RS256", "HS256"), sign("HS256", publicPEM, object{"alg": "HS256"}, claims()), decision.BadSignature},
		"RS to HS with the modulus":              {listed("RS256", "HS256"), sign("HS256", k.rsa.N.Bytes(), object{"alg": "HS256", "kid": "rsa"}, claims()), decision.AlgorithmNotAllowed},
		"HMAC by the right secret, not listed":   {nil, sign("HS256", k.secret, object{"alg": "HS256", "kid": "secret"}, claims()), decision.AlgorithmNotAllowed},
		"ES256K by the right key, not listed":    {nil, sign("ES256K", k.k1, object{"alg": "ES256K", "kid": "k1"}, claims()), decision.AlgorithmNotAllowed},
		"an alg that is not listed":              {listed("ES256"), rs(object{"alg": "RS256", "kid": "rsa"}), decision.AlgorithmNotAllowed},
		"EdDSA listed, Ed25519 used":             {listed("EdDSA"), sign("EdDSA", k.ed, object{"alg": "Ed25519", "kid": "ed"}, claims()), decision.AlgorithmNotAllowed},
		"ES256 with a P-384 key":                 {nil, sign("ES256", k.p256, object{"alg": "ES256", "kid": "p384"}, claims()), decision.AlgorithmNotAllowed},
		"ES256K with a P-256 key":                {listed("ES256K"), sign("ES256", k.p256, object{"alg": "ES256K", "kid": "p256"}, claims()), decision.AlgorithmNotAllowed},
		"ES256 with an RSA key":                  {nil, sign("ES256", k.p256, object{"alg": "ES256", "kid": "rsa"}, claims()), decision.AlgorithmNotAllowed},
		"Ed448":                                  {nil, sign("EdDSA", k.ed, object{"alg": "Ed448", "kid": "ed"}, claims()), decision.AlgorithmNotAllowed},
		"a JWE alg in a JWS":                     {nil, rs(object{"alg": "RSA-OAEP", "kid": "rsa"}), decision.AlgorithmNotAllowed},
		"enc in a JWS":                           {nil, rs(object{"alg": "RS256", "enc": "A128GCM", "kid": "rsa"}), decision.Malformed},
		"a kid with a path":                      {nil, rs(object{"alg": "RS256", "kid": "../../dev/null"}), decision.UnknownKey},
		"a kid with SQL":                         {nil, rs(object{"alg": "RS256", "kid": "x' UNION SELECT 'secret"}), decision.UnknownKey},
		"a kid with line breaks":                 {nil, rs(object{"alg": "RS256", "kid": "rsa\r\nlevel=info"}), decision.UnknownKey},
		"a kid that is a number":                 {nil, rs(object{"alg": "RS256", "kid": 1}), decision.Malformed},
		"a kid that is null":                     {nil, rs(object{"alg": "RS256", "kid": nil}), decision.Malformed},
		"a kid of another case":                  {nil, rs(object{"alg": "RS256", "kid": "RSA"}), decision.UnknownKey},
		"the kid of another key":                 {nil, rs(object{"alg": "RS256", "kid": "p256"}), decision.AlgorithmNotAllowed},
		"a key that is not the issuer's":         {nil, sign("RS256", k.rsa2, object{"alg": "RS256", "kid": "rsa"}, claims()), decision.BadSignature},
		"a key that is not the issuer's, no kid": {nil, sign("RS256", k.rsa2, object{"alg": "RS256"}, claims()), decision.BadSignature},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(tc.edit)})
			if _, got := verify(v, tc.raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestKeyChoice offers sets in which the choice of the key could go wrong: no kid and many keys, one kid twice, kids
// that no key has.
func TestKeyChoice(t *testing.T) {
	t.Parallel()
	k := keys()
	many := make([]object, 0, 12)
	for range 9 {
		other, _ := rsa.GenerateKey(rand.Reader, 2048)
		many = append(many, public(other, "", "RS256"))
	}
	good := func(header object) string {
		return sign("RS256", k.rsa, with(object{"alg": "RS256"}, header), claims())
	}
	tests := map[string]struct {
		keys []object
		raw  string
		want decision.Reason
	}{
		"a kid against keys without one":     {[]object{public(k.rsa, "", "")}, good(object{"kid": "any"}), ""},
		"no kid against two keys":            {[]object{public(k.rsa2, "a", ""), public(k.rsa, "b", "")}, good(nil), ""},
		"an empty kid is none":               {[]object{public(k.rsa, "a", "")}, good(object{"kid": ""}), ""},
		"a wrong kid is not inferred away":   {[]object{public(k.rsa, "a", "")}, good(object{"kid": "b"}), decision.UnknownKey},
		"a kid goes before keys without one": {[]object{public(k.rsa2, "a", ""), public(k.rsa, "", "")}, good(object{"kid": "a"}), decision.BadSignature},
		"one kid for two kinds of keys":      {[]object{public(k.p256, "a", ""), public(k.rsa, "a", "")}, good(object{"kid": "a"}), ""},
		"the key's own alg is another":       {[]object{public(k.rsa, "a", "PS256")}, good(object{"kid": "a"}), decision.AlgorithmNotAllowed},
		"no kid, and no key fits":            {[]object{public(k.p256, "a", "")}, good(nil), decision.UnknownKey},
		"EdDSA key, Ed25519 token":           {[]object{public(k.ed, "a", "EdDSA")}, sign("EdDSA", k.ed, object{"alg": "Ed25519", "kid": "a"}, claims()), ""},
		"Ed25519 key, EdDSA token":           {[]object{public(k.ed, "a", "Ed25519")}, sign("EdDSA", k.ed, object{"alg": "EdDSA", "kid": "a"}, claims()), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, Config{Keys: set(t, keyset.Verify, tc.keys...), Issuer: issuer(nil)})
			if _, got := verify(v, tc.raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("at most eight keys are tried", func(t *testing.T) {
		t.Parallel()
		c := newChoice(set(t, keyset.Verify, many...))
		got, _ := c.pick("", "RS256")
		if len(got) != MaxTries {
			t.Errorf("got %d keys, want %d", len(got), MaxTries)
		}
	})
}

func TestKeysNotResolved(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Issuer: issuer(nil)})
	for name, tc := range map[string]struct {
		claims object
		want   decision.Reason
	}{
		"a good token":             {claims(), decision.KeysUnavailable},
		"an expired one":           {with(claims(), object{"exp": 1}), decision.Expired},
		"one of another issuer":    {with(claims(), object{"iss": "other"}), decision.UnknownIssuer},
		"one for another audience": {with(claims(), object{"aud": "other"}), decision.WrongAudience},
	} {
		if _, got := verify(v, sign("RS256", k.rsa, object{"alg": "RS256"}, tc.claims)); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestKidOfAnotherIssuersKey signs with a key of one issuer and names the other one as iss.
func TestKidOfAnotherIssuersKey(t *testing.T) {
	t.Parallel()
	k := keys()
	const partner = "https://partner.example"
	ours := newVerifier(t, Config{Keys: set(t, keyset.Verify, public(k.rsa, "ours", "")), Issuer: issuer(nil)})
	theirs := newVerifier(t, Config{Keys: set(t, keyset.Verify, public(k.rsa2, "theirs", "")), Issuer: issuer(func(i *policy.Issuer) { i.Issuer = partner })})
	for name, tc := range map[string]struct {
		v        *Verifier
		iss, kid string
		want     decision.Reason
	}{
		"their key, their iss, to our verifier": {ours, partner, "theirs", decision.UnknownIssuer},
		"their key, our iss":                    {ours, "https://login.example.com", "theirs", decision.UnknownKey},
		"their key, our iss, our kid":           {ours, "https://login.example.com", "ours", decision.BadSignature},
		"their key, our iss, no kid":            {ours, "https://login.example.com", "", decision.BadSignature},
		"their key, their iss":                  {theirs, partner, "theirs", ""},
	} {
		raw := sign("RS256", k.rsa2, object{"alg": "RS256", "kid": tc.kid}, with(claims(), object{"iss": tc.iss}))
		if _, got := verify(tc.v, raw); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
