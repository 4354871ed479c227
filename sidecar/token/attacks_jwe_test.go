package token

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestNesting puts into a JWE what must not be in it: another JWE, nothing signed, something of another kind.
func TestNesting(t *testing.T) {
	t.Parallel()
	k := keys()
	head := func(extra object) object { return with(object{"cty": "JWT", "kid": "32"}, extra) }
	to := func(header object, plain string) string {
		return seal("A256KW", "A256GCM", k.secret[:32], header, plain)
	}
	rsaTo := func(header object, plain string) string {
		return seal("RSA-OAEP-256", "A256GCM", &k.rsa.PublicKey, with(header, object{"kid": "rsa"}), plain)
	}
	deep := nestedToken()
	for range 10 {
		deep = to(head(nil), deep)
	}
	inner := func(header, payload object) string {
		return sign("ES256", k.p256, with(object{"alg": "ES256", "kid": "p256"}, header), with(claims(), payload))
	}
	tests := map[string]struct {
		unsigned bool
		raw      string
		want     decision.Reason
	}{
		"a nested token":                             {false, to(head(nil), nestedToken()), ""},
		"cty in lower case":                          {false, to(head(object{"cty": "jwt"}), nestedToken()), ""},
		"cty in the long form":                       {false, to(head(object{"cty": "application/jwt"}), nestedToken()), ""},
		"cty at+jwt":                                 {false, to(head(object{"cty": "at+jwt"}), nestedToken()), ""},
		"cty at+jwt in the long form":                {false, to(head(object{"cty": "Application/AT+JWT"}), nestedToken()), ""},
		"cty of a kind of token of their own":        {false, to(head(object{"cty": "vnd.example.session+jwt"}), nestedToken()), ""},
		"cty of a kind that is no access token":      {false, to(head(object{"cty": "secevent+jwt"}), nestedToken()), decision.WrongType},
		"cty at+jwt, and an inner logout token":      {false, to(head(object{"cty": "at+jwt"}), inner(object{"typ": "logout+jwt"}, nil)), decision.WrongType},
		"cty at+jwt, and claims inside":              {true, to(head(object{"cty": "at+jwt"}), text(claims())), decision.Malformed},
		"cty at+jwt inside as well":                  {false, to(head(object{"cty": "at+jwt"}), inner(object{"cty": "at+jwt", "typ": "at+jwt"}, nil)), ""},
		"a plain signed token":                       {false, nestedToken(), ""},
		"cty missing":                                {false, to(head(object{"cty": gone}), nestedToken()), decision.Unsigned},
		"cty wrong":                                  {false, to(head(object{"cty": "json"}), nestedToken()), decision.WrongType},
		"cty wrong, unsigned allowed":                {true, to(head(object{"cty": "json"}), text(claims())), decision.WrongType},
		"nested twice":                               {false, to(head(nil), to(head(nil), nestedToken())), decision.WrongType},
		"nested ten deep":                            {false, deep, decision.WrongType},
		"an inner token that nests a JWS":            {false, to(head(nil), inner(object{"cty": "JWT"}, nil)), decision.WrongType},
		"an inner alg none":                          {false, to(head(nil), enc64(`{"alg":"none"}`)+"."+enc64(text(claims()))+"."), decision.Unsigned},
		"an inner token of nobody":                   {false, to(head(nil), tampered(nestedToken())), decision.BadSignature},
		"an inner token that expired":                {false, to(head(nil), inner(nil, object{"exp": 1})), decision.Expired},
		"an inner logout token":                      {false, to(head(nil), inner(object{"typ": "logout+jwt"}, nil)), decision.WrongType},
		"an outer logout token":                      {false, to(head(object{"typ": "logout+jwt"}), nestedToken()), decision.WrongType},
		"claims inside where a token is said to be":  {true, to(head(nil), text(claims())), decision.Malformed},
		"claims alone":                               {false, to(head(object{"cty": gone}), text(claims())), decision.Unsigned},
		"claims alone, allowed":                      {true, to(head(object{"cty": gone}), text(claims())), ""},
		"claims alone to a public key":               {true, rsaTo(object{}, text(claims())), decision.Unsigned},
		"claims alone, allowed, but expired":         {true, to(head(object{"cty": gone}), text(with(claims(), object{"exp": 1}))), decision.Expired},
		"claims alone, allowed, of another issuer":   {true, to(head(object{"cty": gone}), text(with(claims(), object{"iss": "other"}))), decision.UnknownIssuer},
		"claims alone, allowed, with a claim twice":  {true, to(head(object{"cty": gone}), `{"sub":"mallory",`+text(claims())[1:]), decision.Malformed},
		"a token inside where claims are said to be": {true, to(head(object{"cty": gone}), nestedToken()), decision.Malformed},
		"the issuer repeated in the header":          {false, to(head(object{"iss": "https://login.example.com"}), nestedToken()), ""},
		"another issuer in the header":               {false, to(head(object{"iss": "https://evil.example"}), nestedToken()), decision.BadClaim},
		"another audience in the header":             {false, to(head(object{"aud": []any{"orders"}}), nestedToken()), decision.BadClaim},
		"a kid that no key has":                      {false, to(head(object{"kid": "x"}), nestedToken()), decision.NotDecryptable},
		"the kid of a key that does not fit":         {false, to(head(object{"kid": "16"}), nestedToken()), decision.NotDecryptable},
		"zip":                                        {false, to(head(object{"zip": "DEF"}), nestedToken()), decision.HeaderNotAllowed},
		"a zip bomb":                                 {true, to(head(object{"zip": "DEF", "cty": gone}), `{"a":"`+strings.Repeat("a", 1<<20)+`"}`), decision.HeaderNotAllowed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(decryption(tc.unsigned))})
			if _, got := verify(v, tc.raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestEncryptedTokensOnly holds decryption.required and the lists of algorithms.
func TestEncryptedTokensOnly(t *testing.T) {
	t.Parallel()
	k := keys()
	nested := seal("RSA-OAEP-256", "A256GCM", &k.rsa.PublicKey, object{"cty": "JWT", "kid": "rsa"}, nestedToken())
	direct := seal("dir", "A128GCM", k.secret[:16], object{"cty": "JWT", "kid": "16"}, nestedToken())
	bare := seal("dir", "A128GCM", k.secret[:16], object{"kid": "16"}, text(claims()))
	for name, tc := range map[string]struct {
		give                         policy.Decryption
		signed, nested, direct, bare decision.Reason
	}{
		"nothing said":        {policy.Decryption{}, "", "", "", decision.Unsigned},
		"required":            {policy.Decryption{Required: true}, decision.NotEncrypted, "", "", decision.Unsigned},
		"required, unsigned":  {policy.Decryption{Required: true, AllowUnsigned: true}, decision.NotEncrypted, "", "", ""},
		"a key algorithm":     {policy.Decryption{KeyAlgorithms: []policy.KeyAlgorithm{"RSA-OAEP-256"}}, "", "", decision.AlgorithmNotAllowed, decision.Unsigned},
		"a content algorithm": {policy.Decryption{ContentAlgorithms: []policy.ContentAlgorithm{"A128GCM"}}, "", decision.AlgorithmNotAllowed, "", decision.Unsigned},
		"all of it": {policy.Decryption{Required: true, AllowUnsigned: true, KeyAlgorithms: []policy.KeyAlgorithm{"dir"}, ContentAlgorithms: []policy.ContentAlgorithm{"A256GCM", "A128GCM"}},
			decision.NotEncrypted, decision.AlgorithmNotAllowed, "", ""},
	} {
		v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(opens(tc.give))})
		for kind, want := range map[string]struct {
			raw    string
			reason decision.Reason
		}{"signed": {nestedToken(), tc.signed}, "nested": {nested, tc.nested}, "dir": {direct, tc.direct}, "claims alone": {bare, tc.bare}} {
			if _, got := verify(v, want.raw); got != want.reason {
				t.Errorf("%s: %s: got %q, want %q", name, kind, got, want.reason)
			}
		}
	}
}

// TestEncryptionAttacks edits well-formed tokens, part by part.
func TestEncryptionAttacks(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(decryption(false))})
	kw := seal("A256KW", "A256GCM", k.secret[:32], object{"cty": "JWT", "kid": "32"}, nestedToken())
	cbc := seal("A256KW", "A128CBC-HS256", k.secret[:32], object{"cty": "JWT", "kid": "32"}, nestedToken())
	gcmkw := seal("A256GCMKW", "A256GCM", k.secret[:32], object{"cty": "JWT", "kid": "32"}, nestedToken())
	es := seal("ECDH-ES", "A256GCM", &k.p256.PublicKey, object{"cty": "JWT", "kid": "p256"}, nestedToken())
	eskw := seal("ECDH-ES+A256KW", "A256GCM", &k.p256.PublicKey, object{"cty": "JWT", "kid": "p256"}, nestedToken())
	okp := seal("ECDH-ES", "A256GCM", x25519Public(k.x25519), object{"cty": "JWT", "kid": "x25519"}, nestedToken())
	dir := seal("dir", "A256GCM", k.secret[:32], object{"cty": "JWT", "kid": "32"}, nestedToken())
	oaep := seal("RSA-OAEP", "A256GCM", &k.rsa.PublicKey, object{"cty": "JWT", "kid": "rsa"}, nestedToken())
	const malformed, notAllowed = decision.Malformed, decision.AlgorithmNotAllowed
	tests := map[string]struct {
		raw  string
		want decision.Reason
	}{
		"an empty key under A256KW":                {part(kw, 1, func([]byte) []byte { return nil }), malformed},
		"an empty key under ECDH-ES+A256KW":        {part(eskw, 1, func([]byte) []byte { return nil }), malformed},
		"an empty key under A256GCMKW":             {part(gcmkw, 1, func([]byte) []byte { return nil }), malformed},
		"an empty key under RSA-OAEP":              {part(oaep, 1, func([]byte) []byte { return nil }), malformed},
		"a key of eight bytes":                     {part(kw, 1, func(b []byte) []byte { return b[:8] }), malformed},
		"a key under dir":                          {part(dir, 1, func([]byte) []byte { return make([]byte, 40) }), malformed},
		"a key under ECDH-ES":                      {part(es, 1, func([]byte) []byte { return make([]byte, 40) }), malformed},
		"a longer key under RSA-OAEP":              {part(oaep, 1, func(b []byte) []byte { return append([]byte{0}, b...) }), decision.NotDecryptable},
		"an empty initialisation vector":           {part(kw, 2, func([]byte) []byte { return nil }), malformed},
		"a longer initialisation vector":           {part(kw, 2, func(b []byte) []byte { return append(b, 0) }), malformed},
		"an empty ciphertext":                      {part(kw, 3, func([]byte) []byte { return nil }), malformed},
		"an empty ciphertext under CBC":            {part(cbc, 3, func([]byte) []byte { return nil }), malformed},
		"half a block under CBC":                   {part(cbc, 3, func(b []byte) []byte { return b[:len(b)-8] }), malformed},
		"an empty tag":                             {part(kw, 4, func([]byte) []byte { return nil }), malformed},
		"a short tag":                              {part(kw, 4, func(b []byte) []byte { return b[:12] }), malformed},
		"a byte moved from ciphertext to tag":      {moved(kw), malformed},
		"a block moved from ciphertext to tag":     {movedBlock(cbc), malformed},
		"every part empty":                         {part0(kw) + "....", malformed},
		"unused bits in the tag":                   {kw[:len(kw)-1] + nextLetter(kw[len(kw)-1:]), malformed},
		"RSA1_5":                                   {setHeader(kw, "alg", `"RSA1_5"`), notAllowed},
		"PBES2 with a huge count":                  {setHeader(kw, "alg", `"PBES2-HS512+A256KW","p2c":2147483647,"p2s":"AAAA"`), notAllowed},
		"RSA-OAEP-512, which nobody asked for":     {setHeader(kw, "alg", `"RSA-OAEP-512"`), notAllowed},
		"alg none":                                 {setHeader(kw, "alg", `"none"`), notAllowed},
		"a JWS alg":                                {setHeader(kw, "alg", `"HS256"`), notAllowed},
		"an unknown enc":                           {setHeader(kw, "enc", `"A512GCM"`), notAllowed},
		"an empty enc":                             {setHeader(kw, "enc", `""`), notAllowed},
		"another enc of the same sizes":            {setHeader(part(kw, 1, pad(8)), "enc", `"A192GCM"`), malformed},
		"crit":                                     {setHeader(kw, "kid", `"32","crit":["kid"]`), decision.HeaderNotAllowed},
		"jwk":                                      {setHeader(kw, "kid", `"32","jwk":{}`), decision.HeaderNotAllowed},
		"an iv of the key of another size":         {setHeader(gcmkw, "iv", `"AAAA"`), malformed},
		"an iv of the key that is padded":          {setHeader(gcmkw, "iv", `"AAAAAAAAAAAAAAAA="`), malformed},
		"no tag of the key":                        {setHeader(gcmkw, "tag", `null`), malformed},
		"no ephemeral key":                         {setHeader(es, "epk", `null`), malformed},
		"an ephemeral key of no kind":              {setHeader(es, "epk", `{}`), malformed},
		"an ephemeral key off the curve":           {setHeader(es, "epk", text(with(public(k.p256, "", ""), object{"x": b64(make([]byte, 32))}))), malformed},
		"the point at infinity":                    {setHeader(es, "epk", text(with(public(k.p256, "", ""), object{"x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))}))), malformed},
		"a short coordinate":                       {setHeader(es, "epk", text(with(public(k.p256, "", ""), object{"x": b64(make([]byte, 31))}))), malformed},
		"an ephemeral key on another curve":        {setHeader(es, "epk", text(public(k.p384, "", ""))), decision.NotDecryptable},
		"another ephemeral key":                    {setHeader(es, "epk", text(public(k.p256, "", ""))), decision.NotDecryptable},
		"an ephemeral private key":                 {setHeader(es, "epk", text(private(k.p256, "", ""))), malformed},
		"an ephemeral key on secp256k1":            {setHeader(es, "epk", text(public(k.k1, "", ""))), malformed},
		"X25519 of low order":                      {setHeader(okp, "epk", text(object{"kty": "OKP", "crv": "X25519", "x": b64(make([]byte, 32))})), decision.NotDecryptable},
		"Ed25519 as the ephemeral key":             {setHeader(okp, "epk", text(public(k.ed, "", ""))), malformed},
		"apu that is no base64url":                 {setHeader(es, "kid", `"p256","apu":"a=b"`), malformed},
		"apv that is a number":                     {setHeader(es, "kid", `"p256","apv":1`), malformed},
		"the compact form of three parts with enc": {strings.Join(strings.Split(kw, ".")[:3], "."), malformed},
		"five parts of a JWS":                      {nestedToken() + ".AAAA.AAAA", malformed},
		"the JSON serialisation":                   {`{"protected":"` + part0(kw) + `"}`, malformed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, got := verify(v, tc.raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func part0(raw string) string { return raw[:strings.IndexByte(raw, '.')] }

// part edits one part of a token.
func part(raw string, n int, edit func([]byte) []byte) string {
	parts := strings.Split(raw, ".")
	b, _ := base64.RawURLEncoding.DecodeString(parts[n])
	parts[n] = b64(edit(b))
	return strings.Join(parts, ".")
}

func pad(n int) func([]byte) []byte {
	return func(b []byte) []byte { return append(b, make([]byte, n)...) }
}

// setHeader sets a member of the header to this JSON text.
func setHeader(raw, name, value string) string {
	return part(raw, 0, func(b []byte) []byte {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(b, &m); err != nil {
			panic(err)
		}
		delete(m, name)
		rest, _ := json.Marshal(m)
		return []byte(`{"` + name + `":` + value + "," + string(rest[1:]))
	})
}

// moved cuts ciphertext and tag one byte earlier; jwx joins them wherever they are cut.
func moved(raw string) string { return cutAt(raw, 1) }

func movedBlock(raw string) string { return cutAt(raw, 16) }

func cutAt(raw string, n int) string {
	parts := strings.Split(raw, ".")
	c, _ := base64.RawURLEncoding.DecodeString(parts[3])
	tag, _ := base64.RawURLEncoding.DecodeString(parts[4])
	parts[3], parts[4] = b64(c[:len(c)-n]), b64(append(append([]byte{}, c[len(c)-n:]...), tag...))
	return strings.Join(parts, ".")
}

// TestPanicsAreRefusals lets jwx panic past the checks of the front.
func TestPanicsAreRefusals(t *testing.T) {
	t.Parallel()
	k := keys()
	raw := part(seal("A256KW", "A256GCM", k.secret[:32], object{"cty": "JWT"}, nestedToken()), 1, func([]byte) []byte { return nil })
	tok := &Token{raw: raw}
	tok.header.alg = "A256KW"
	if _, ok := decryptWith(tok, k.secret[:32]); ok {
		t.Error("an empty encrypted key decrypts")
	}
	if newScheme("ES256").verify(nil, nil, (*ecdh.PublicKey)(nil)) || newScheme("RS256").verify(nil, nil, nil) || (scheme{}).verify(nil, nil, nil) {
		t.Error("a missing key verifies")
	}
}
