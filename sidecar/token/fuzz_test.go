package token

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
	"github.com/bearerguard/bearerguard/api/policy"
)

// stricter names why a token is refused whose signature jwx verifies with the key and the algorithm that the token
// names. BadSignature is not here: over the cryptography we never differ.
func stricter() map[decision.Reason]string {
	return map[decision.Reason]string{
		decision.Malformed:           "padding, unused bits, JSON serialisations, no JSON, duplicate members, data after the end, depth",
		decision.TokenTooLarge:       "more than 16 KiB",
		decision.HeaderNotAllowed:    "crit, b64, zip, or a key in the header",
		decision.WrongType:           "typ of something else than an access token, cty JWT in a JWS",
		decision.AlgorithmNotAllowed: "an alg that the issuer does not list, or that the key of this kid does not fit",
		decision.UnknownKey:          "a kid that no key has",
		decision.BadClaim:            "a registered claim of a wrong type",
		decision.Expired:             "jws.Verify reads no claims",
		decision.NotYetValid:         "jws.Verify reads no claims",
		decision.KeyBound:            "cnf",
	}
}

// stricterEncrypted names, beside those, why a token is refused that jwx decrypts with the key that the token names.
// NotDecryptable is not here: over the cryptography we never differ.
func stricterEncrypted() map[decision.Reason]string {
	all := stricter()
	all[decision.Unsigned] = "claims that nobody signed, or alg none inside"
	all[decision.BadSignature] = "jwe.Decrypt does not look inside"
	return all
}

// fuzzed is who the fuzz targets verify for: one secret "s" and one P-256 key to verify with, the secret as "d" and the
// P-256 key as "e" to decrypt with, every other rule as open as it can be.
func fuzzed(f *testing.F, unsigned bool) *Verifier {
	k := keys()
	return newVerifier(f, Config{
		Keys:       set(f, keyset.Verify, public(k.secret[:32], "s", ""), public(k.p256, "p256", "")),
		Decryption: set(f, keyset.Decrypt, public(k.secret[:32], "d", ""), private(k.p256, "e", "")),
		Issuer: issuer(func(i *policy.Issuer) {
			decryption(unsigned)(i)
			i.Issuer, i.AnyIssuer, i.Audiences, i.AnyAudience, i.AllowMissingExp = "", true, nil, true, true
			i.Algorithms = []policy.Algorithm{"HS256", "ES256"}
		}),
	})
}

// jwxVerifies reports whether jwx verifies the JWS with the key that its own header asks for.
func jwxVerifies(raw string) (ok bool) {
	defer func() { ok = recover() == nil && ok }()
	m, err := jws.ParseString(raw)
	if err != nil || len(m.Signatures()) != 1 {
		return false
	}
	k, h := keys(), m.Signatures()[0].ProtectedHeaders()
	for _, c := range []struct {
		kid string
		alg jwa.SignatureAlgorithm
		key any
	}{{"s", jwa.HS256, k.secret[:32]}, {"p256", jwa.ES256, &k.p256.PublicKey}} {
		if h.Algorithm() != c.alg || h.KeyID() != "" && h.KeyID() != c.kid {
			continue
		}
		if _, err := jws.Verify([]byte(raw), jws.WithKey(c.alg, c.key)); err == nil {
			return true
		}
	}
	return false
}

// jwxDecrypts reports whether jwx decrypts the JWE with the key that its own header asks for, and to what.
func jwxDecrypts(raw string) (plain string, ok bool) {
	defer func() { ok = recover() == nil && ok }()
	m, err := jwe.ParseString(raw)
	if err != nil {
		return "", false
	}
	k, h := keys(), m.ProtectedHeaders()
	for _, c := range []struct {
		kid string
		key any
	}{{"d", k.secret[:32]}, {"e", k.p256}} {
		if h.KeyID() != "" && h.KeyID() != c.kid {
			continue
		}
		if b, err := jwe.Decrypt([]byte(raw), jwe.WithKey(h.Algorithm(), c.key)); err == nil {
			return string(b), true
		}
	}
	return "", false
}

// checkAgainstJwx holds a verdict to jwx's: what is accepted, jwx accepts; what jwx accepts is refused for a reason that
// is named above only.
func checkAgainstJwx(t *testing.T, raw string, reason decision.Reason) {
	t.Helper()
	encrypted := strings.Count(raw, ".") == 4 || strings.Contains(raw, `"ciphertext"`)
	if !encrypted {
		ok := jwxVerifies(raw)
		if _, named := stricter()[reason]; reason == "" && !ok && !readByJwxAlone(raw) || reason != "" && ok && !named {
			t.Fatalf("jwx verifies: %v; we say %q", ok, reason)
		}
		return
	}
	plain, ok := jwxDecrypts(raw)
	if _, named := stricterEncrypted()[reason]; reason == "" && !ok && !readByJwxAlone(raw) || reason != "" && ok && !named {
		t.Fatalf("jwx decrypts: %v; we say %q", ok, reason)
	}
	if reason == "" && strings.Count(plain, ".") == 2 && !strings.HasPrefix(plain, "{") && !jwxVerifies(plain) && !readByJwxAlone(plain) {
		t.Fatal("jwx refuses the token inside")
	}
}

// readByJwxAlone reports whether the header has members for which jwx refuses a token when it cannot read them, though
// nothing here looks at them.
func readByJwxAlone(raw string) bool {
	head, _, _ := strings.Cut(raw, ".")
	b, _ := base64.RawURLEncoding.DecodeString(head)
	members, err := strictjson.Object(b)
	if err != nil {
		return false
	}
	for _, name := range append(ignoredMembers(), "apu", "apv", "epk") {
		if _, has := members[name]; has {
			return true
		}
	}
	return false
}

// checkCause holds that every refusal has a cause, and that nothing in it can move a terminal's cursor.
func checkCause(t *testing.T, no decision.Refusal) {
	t.Helper()
	if no.Refused() != (no.Cause != nil) {
		t.Fatalf("reason %q with the cause %v", no.Reason, no.Cause)
	}
	if !no.Refused() {
		return
	}
	for _, text := range []string{no.Cause.String(), no.Cause.Detail()} {
		if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%s: the cause is %q", no.Reason, text)
		}
	}
}

// FuzzFront is differential over whole tokens, signed and encrypted; and whatever is refused has a reason of the closed
// set, and whatever is accepted has one spelling.
func FuzzFront(f *testing.F) {
	k := keys()
	hs := k.secret[:32]
	f.Add(sign("HS256", hs, object{"alg": "HS256", "kid": "s"}, claims()), true)
	f.Add(sign("ES256", k.p256, object{"alg": "ES256", "kid": "p256"}, claims()), false)
	f.Add(sign("HS256", hs, `{"alg":"HS256"}`, `{"exp":1e10,"iss":"a"}`), true)
	f.Add(sign("HS256", hs, `{"alg":"none"}`, `{}`), false)
	f.Add(seal("A256KW", "A256GCM", hs, object{"cty": "JWT", "kid": "d"}, nestedToken()), true)
	f.Add(seal("A256KW", "A256GCM", hs, object{"cty": "JWT", "zip": "DEF"}, nestedToken()), true)
	f.Add(seal("A256GCMKW", "A128CBC-HS256", hs, object{"cty": "JWT"}, nestedToken()), true)
	f.Add(seal("ECDH-ES+A128KW", "A128GCM", &k.p256.PublicKey, object{"cty": "JWT"}, nestedToken()), true)
	f.Add("..", false)
	f.Add("....", false)
	v := fuzzed(f, true)
	known := map[decision.Reason]bool{}
	for _, r := range decision.Reasons() {
		known[r] = true
	}
	f.Fuzz(func(t *testing.T, raw string, resign bool) {
		if parts := strings.Split(raw, "."); resign && len(parts) == 3 {
			input := parts[0] + "." + parts[1]
			raw = input + "." + b64(signature("HS256", hs, input))
		}
		got, no := refusal(v, raw)
		reason := no.Reason
		checkCause(t, no)
		checkAgainstJwx(t, raw, reason)
		if reason != "" {
			if !known[reason] || got.Claims != nil {
				t.Fatalf("reason %q, or claims beside it", reason)
			}
			return
		}
		if len(raw) > MaxBytes || got.Claims == nil {
			t.Fatal("accepted beyond the bounds")
		}
		for part := range strings.SplitSeq(raw, ".") {
			b, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || b64(b) != part {
				t.Fatal("a part has another spelling")
			}
		}
	})
}

// FuzzSigned fuzzes what is inside a signed token: what is accepted, jwx's jwt.Parse accepts too.
func FuzzSigned(f *testing.F) {
	hs := keys().secret[:32]
	good := text(claims())
	for _, seed := range [][2]string{
		{`{"alg":"HS256"}`, good}, {`{"alg":"HS256","kid":"s","typ":"at+jwt"}`, `{"exp":1.9e9,"nbf":0,"aud":["a"],"iat":0.5}`},
		{`{"alg":"HS256","crit":["x"]}`, good}, {`{"alg":"HS256","jku":7,"x5c":[null]}`, good}, {`{"alg":"HS256","cty":"JWT"}`, good}, {`{"alg":"HS256"}`, `{"aud":"a","sub":"\u00e9"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	v := fuzzed(f, false)
	f.Fuzz(func(t *testing.T, header, payload string) {
		raw := sign("HS256", hs, header, payload)
		_, no := refusal(v, raw)
		checkCause(t, no)
		checkAgainstJwx(t, raw, no.Reason)
		if no.Refused() || readByJwxAlone(raw) {
			return
		}
		clock := jwt.WithClock(jwt.ClockFunc(func() time.Time { return now }))
		if _, err := jwt.Parse([]byte(raw), jwt.WithKey(jwa.HS256, hs), jwt.WithAcceptableSkew(DefaultSkew+time.Second), clock); err != nil {
			t.Fatalf("jwx refuses what is accepted: %v", err)
		}
	})
}

// FuzzEncrypted fuzzes header and content of a JWE that the key really encrypted.
func FuzzEncrypted(f *testing.F) {
	const head = `{"alg":"dir","enc":"A256GCM","cty":"JWT"}`
	f.Add(head, text(claims()), true)
	f.Add(head, nestedToken(), false)
	f.Add(`{"alg":"dir","enc":"A256GCM","kid":"d"}`, text(claims()), false)
	f.Add(`{"alg":"dir","enc":"A256GCM","kid":"e","cty":"JWT"}`, nestedToken(), false)
	f.Add(`{"alg":"dir","enc":"A256GCM","cty":"JWT","crit":["x"],"x":1}`, nestedToken(), false)
	f.Add(`{"alg":"dir","enc":"A256GCM","cty":"JWT","cty":"json"}`, nestedToken(), false)
	f.Add(`{"alg":"dir","enc":"A256GCM","cty":"JWT","typ":"logout+jwt"}`, nestedToken(), false)
	f.Add(head, direct(head, nestedToken()), false)
	f.Add(`{"alg":"dir","enc":"A256GCM","cty":"AT+jwt","x5c":7,"jku":{}}`, nestedToken(), false)
	signed, open := fuzzed(f, false), fuzzed(f, true)
	f.Fuzz(func(t *testing.T, header, content string, resign bool) {
		if resign {
			content = sign("HS256", keys().secret[:32], `{"alg":"HS256","kid":"s"}`, content)
		}
		raw := direct(header, content)
		for _, v := range []*Verifier{signed, open} {
			_, no := refusal(v, raw)
			checkCause(t, no)
			checkAgainstJwx(t, raw, no.Reason)
		}
	})
}

// direct makes a JWE with alg dir and enc A256GCM, whatever the header says (RFC 7516 section 5.1).
func direct(header, plain string) string {
	block, err := aes.NewCipher(keys().secret[:32])
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	iv, aad := make([]byte, 12), enc64(header)
	sealed := gcm.Seal(nil, iv, []byte(plain), []byte(aad))
	n := len(sealed) - 16
	return aad + ".." + b64(iv) + "." + b64(sealed[:n]) + "." + b64(sealed[n:])
}
