package token

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// jwtParse is jwx as it comes, given the one right algorithm and key.
func jwtParse(alg string, key any) func(string) bool {
	return func(raw string) bool {
		_, err := jwt.Parse([]byte(raw), jwt.WithKey(jwa.SignatureAlgorithm(alg), key), jwt.WithValidate(true),
			jwt.WithClock(jwt.ClockFunc(func() time.Time { return now })))
		return err == nil
	}
}

func jweDecrypt(alg string, key any) func(string) bool {
	return func(raw string) bool {
		_, err := jwe.Decrypt([]byte(raw), jwe.WithKey(jwa.KeyEncryptionAlgorithm(alg), key))
		return err == nil
	}
}

// TestWhatJwxLeavesOpen shows what jwx v2 accepts and we refuse. What it leaves open, and where that is tested:
//   - panics on an empty encrypted key: TestEncryptionAttacks, TestPanicsAreRefusals
//   - alg is not compared with the key, kid may be ignored, algorithms may be inferred: here, TestAlgorithmAttacks,
//     TestKeyChoice
//   - crit, typ, cty and b64 are not acted on, JSON serialisations and other spellings are taken: here,
//     TestHeaderMembers, TestFormAttacks
//   - exp 0 is no exp, missing exp, dates in strings, duplicate members, trailing data, invalid UTF-8: here, TestClaims
//   - unsigned claims in a JWE, PBES2, zip, PSS salts of any length: here, TestNesting, TestSignatureAttacks
//   - use, key_ops, short keys, one odd key in a set, jku: TestJwxFollowsAndInfers, and keyset.TestOneOddKeySpoilsOnlyItself
//   - a token without a scheme, a scheme in lower case: TestFind
//
// A case whose first half fails after an update of jwx tells that the library has closed the hole.
func TestWhatJwxLeavesOpen(t *testing.T) {
	t.Parallel()
	k := keys()
	rs, hs, kw := jwtParse("RS256", &k.rsa.PublicKey), k.secret[:32], jweDecrypt("A256KW", k.secret[:32])
	head := func(extra object) object { return with(object{"alg": "RS256", "kid": "rsa"}, extra) }
	signed := func(extra object) string { return sign("RS256", k.rsa, head(extra), claims()) }
	payload := func(p any) string { return sign("RS256", k.rsa, head(nil), p) }
	parts := strings.Split(signed(nil), ".")
	es := sign("ES256", k.p256, object{"alg": "ES256", "kid": "p256"}, claims())
	input := enc64(text(object{"alg": "PS256", "kid": "rsa"})) + "." + enc64(text(claims()))
	digest := sha256.Sum256([]byte(input))
	salted, _ := rsa.SignPSS(rand.Reader, k.rsa, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 20})
	cty := object{"cty": "JWT", "kid": "32"}
	pbes2, err := jwe.Encrypt([]byte(nestedToken()), jwe.WithKey(jwa.PBES2_HS256_A128KW, hs), jwe.WithContentEncryption(jwa.A128GCM))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		jwx  func(string) bool
		raw  string
		want decision.Reason
	}{
		"alg none over a real signature":    {rs, signed(object{"alg": "none"}), decision.Unsigned},
		"an empty alg":                      {rs, signed(object{"alg": ""}), decision.AlgorithmNotAllowed},
		"a made-up alg":                     {rs, signed(object{"alg": "XX999"}), decision.AlgorithmNotAllowed},
		"another alg":                       {rs, signed(object{"alg": "HS256"}), decision.AlgorithmNotAllowed},
		"crit":                              {rs, signed(object{"crit": []string{"exp"}}), decision.HeaderNotAllowed},
		"typ of a logout token":             {rs, signed(object{"typ": "logout+jwt"}), decision.WrongType},
		"b64":                               {rs, signed(object{"b64": true}), decision.HeaderNotAllowed},
		"a JWS in a JWS":                    {rs, sign("RS256", k.rsa, head(object{"cty": "JWT"}), signed(nil)), decision.Malformed},
		"a kid that no key has":             {rs, signed(object{"kid": "other"}), decision.UnknownKey},
		"exp a tiny fraction":               {rs, payload(`{"exp":1e-5,` + strings.Replace(text(claims())[1:], `"exp"`, `"x"`, 1)), decision.Expired},
		"cty JWT in a JWS":                  {rs, signed(object{"cty": "JWT"}), decision.WrongType},
		"the JSON serialisation":            {rs, `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`, decision.Malformed},
		"unused bits that are not zero":     {jwtParse("ES256", &k.p256.PublicKey), es[:len(es)-1] + nextLetter(es[len(es)-1:]), decision.Malformed},
		"padding":                           {jwtParse("ES256", &k.p256.PublicKey), es + "==", decision.Malformed},
		"exp zero":                          {rs, payload(with(claims(), object{"exp": 0})), decision.Expired},
		"exp missing":                       {rs, payload(with(claims(), object{"exp": gone})), decision.MissingClaim},
		"exp a string":                      {rs, payload(with(claims(), object{"exp": "9999999999"})), decision.BadClaim},
		"a member twice":                    {rs, payload(`{"sub":"mallory",` + text(claims())[1:]), decision.Malformed},
		"trailing data":                     {rs, payload(text(claims()) + `x`), decision.Malformed},
		"a second object":                   {rs, payload(text(claims()) + `{"sub":"mallory"}`), decision.Malformed},
		"invalid UTF-8":                     {rs, payload("{\"a\":\"\xff\"," + text(claims())[1:]), decision.Malformed},
		"PSS with a salt of another length": {jwtParse("PS256", &k.rsa.PublicKey), input + "." + b64(salted), decision.BadSignature},
		"unsigned claims in a JWE":          {kw, seal("A256KW", "A256GCM", hs, object{"kid": "32"}, text(claims())), decision.Unsigned},
		"zip":                               {kw, seal("A256KW", "A256GCM", hs, with(cty, object{"zip": "DEF"}), nestedToken()), decision.HeaderNotAllowed},
		"PBES2":                             {jweDecrypt("PBES2-HS256+A128KW", hs), string(pbes2), decision.AlgorithmNotAllowed},
		"ciphertext and tag cut elsewhere":  {kw, moved(seal("A256KW", "A256GCM", hs, cty, nestedToken())), decision.Malformed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !tc.jwx(tc.raw) {
				t.Error("jwx refuses this by itself now")
			}
			v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(decryption(false))})
			if _, got := verify(v, tc.raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestJwxFollowsAndInfers holds what jwx is never asked to do: follow jku, infer algorithms, accept weak keys.
func TestJwxFollowsAndInfers(t *testing.T) {
	t.Parallel()
	k := keys()
	weak, _ := rsa.GenerateKey(rand.Reader, 1024)
	if weak != nil {
		sig := sign("RS256", weak, object{"alg": "RS256"}, claims())
		if _, err := jws.Verify([]byte(sig), jws.WithKey(jwa.RS256, &weak.PublicKey)); err != nil {
			t.Log("jwx refuses 1024-bit RSA by itself now")
		}
		if _, err := keyset.Parse([]byte(text(public(weak, "weak", ""))), keyset.Verify); err == nil {
			t.Error("a 1024-bit RSA key is accepted")
		}
	}
	for name, j := range map[string]object{
		"a short secret":         public([]byte("short secret"), "s", ""),
		"use enc":                with(public(k.rsa, "r", ""), object{"use": "enc"}),
		"key_ops without verify": with(public(k.rsa, "r", ""), object{"key_ops": []string{"sign", "encrypt"}}),
	} {
		if _, err := keyset.Parse([]byte(text(j)), keyset.Verify); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	mixed := object{"keys": []object{{"kty": "XYZ", "kid": "odd"}, public(k.rsa, "rsa", "")}}
	s, err := keyset.Parse([]byte(text(mixed)), keyset.Verify)
	if err != nil || s.Len() != 1 {
		t.Errorf("an unknown kty spoils the set: %v", err)
	}
	v := newVerifier(t, Config{Keys: s, Issuer: issuer(nil)})
	if _, got := verify(v, sign("RS256", k.rsa, object{"alg": "RS256", "kid": "rsa", "jku": "https://login.example.com/jwks"}, claims())); got != "" {
		t.Errorf("jku beside a key of the set: got %q", got)
	}
	hmac := newVerifier(t, Config{Keys: s, Issuer: issuer(func(i *policy.Issuer) { i.Algorithms = []policy.Algorithm{"HS256", "RS256"} })})
	if _, got := verify(hmac, sign("HS256", []byte(text(public(k.rsa, "rsa", ""))), object{"alg": "HS256", "kid": "rsa"}, claims())); got != decision.AlgorithmNotAllowed {
		t.Errorf("the JWK as a secret: got %q", got)
	}
}
