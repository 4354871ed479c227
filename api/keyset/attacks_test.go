package keyset

import (
	"bytes"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOneOddKeySpoilsOnlyItself puts an odd key beside a good one: unknown, weak, garbled, meant for something else.
func TestOneOddKeySpoilsOnlyItself(t *testing.T) {
	t.Parallel()
	k := keys()
	leaf := certificate(t, "leaf", &k.rsa.PublicKey, nil, k.rsa)
	other := certificate(t, "other", &k.rsa2.PublicKey, nil, k.rsa2)
	x5c := func(der []byte) []string { return []string{base64.StdEncoding.EncodeToString(der)} }
	even := with(public(k.rsa), object{"n": b64(new(big.Int).Sub(k.rsa.N, big.NewInt(1)).Bytes())})
	tests := map[string]struct {
		use     Use
		jwk     any
		problem string // after the name
	}{
		"an unknown kty":               {Public, object{"kty": "XYZ"}, "has a kty that is none of RSA, EC, OKP, oct"},
		"no kty":                       {Public, object{"n": "AQAB"}, "has no kty"},
		"a kty that is a number":       {Public, object{"kty": 1}, "kty is not a string"},
		"no object":                    {Public, "AQAB", "is not an object"},
		"null":                         {Public, nil, "is not an object"},
		"an empty object":              {Public, object{}, "has no kty"},
		"a kid that is a number":       {Public, with(public(k.rsa), object{"kid": 1}), "kid is not a string"},
		"a long kid":                   {Public, with(public(k.rsa), object{"kid": strings.Repeat("k", 1025)}), "kid is longer than 1024 bytes"},
		"RSA of 1024 bits":             {Public, public(k.weak), "has 1024 bits; an RSA key has at least 2048"},
		"RSA of 16384 bits":            {Public, with(public(k.rsa), object{"n": b64([]byte(strings.Repeat("\xff", 2048)))}), "has 16384 bits; an RSA key of more than 8192 is not taken"},
		"an even modulus":              {Public, even, "has an even modulus"},
		"an exponent of 1":             {Public, with(public(k.rsa), object{"e": "AQ"}), "has an exponent that is even or less than 3"},
		"an even exponent":             {Public, with(public(k.rsa), object{"e": "AQAA"}), "has an exponent that is even or less than 3"},
		"a huge exponent":              {Public, with(public(k.rsa), object{"e": "AQAAAAE"}), "has an exponent above 2^31-1"},
		"no exponent":                  {Public, with(public(k.rsa), object{"e": gone}), "has no e"},
		"a modulus in hex with colons": {Public, with(public(k.rsa), object{"n": "c0:7f"}), "n is not base64url"},
		"a modulus that is a number":   {Public, with(public(k.rsa), object{"n": 17}), "n is not a string"},
		"unused bits":                  {Verify, object{"kty": "oct", "k": strings.Repeat("A", 42) + "B"}, "k is not base64url"},
		"a point off the curve":        {Public, with(public(k.p256), object{"y": b64(make([]byte, 32))}), "is not a point on its curve"},
		"a secp256k1 point off":        {Public, with(public(k.k1), object{"y": b64(make([]byte, 32))}), "is not a point on its curve"},
		"a coordinate too long":        {Public, with(public(k.p256), object{"x": b64(append([]byte{1}, make([]byte, 32)...))}), "x has 33 bytes; want 32"},
		"a smaller curve's name":       {Public, with(public(k.p521), object{"crv": "P-256", "x": b64(bytes.Repeat([]byte{1}, 66))}), "x has 66 bytes; want 32"},
		"a larger curve's name":        {Public, with(public(k.p256), object{"crv": "P-521"}), "is not a point on its curve"},
		"an unknown curve":             {Public, with(public(k.p256), object{"crv": "P-224"}), "has a crv that is none of P-256, P-384, P-521, secp256k1"},
		"Ed448":                        {Public, object{"kty": "OKP", "crv": "Ed448", "x": b64(make([]byte, 57))}, "x has 57 bytes; want 32"},
		"X25519 to verify":             {Public, public(k.x25519), "X25519 does not verify"},
		"Ed25519 to decrypt":           {Decrypt, private(k.ed), "Ed25519 does not decrypt"},
		"secp256k1 to decrypt":         {Decrypt, private(k.k1), "secp256k1 does not decrypt"},
		"a short HMAC secret":          {Verify, public(k.secret[:31]), "has 31 bytes; an HMAC secret has at least 32"},
		"HS512 with 32 bytes":          {Verify, with(public(k.secret[:32]), object{"alg": "HS512"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"A128KW with 32 bytes":         {Decrypt, with(public(k.secret[:32]), object{"alg": "A128KW"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"a key of 20 bytes":            {Decrypt, public(k.secret[:20]), "has 20 bytes; want 16, 24, 32, 48 or 64, as the algorithm has it"},
		"alg none":                     {Public, with(public(k.rsa), object{"alg": "none"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"alg RSA1_5":                   {Decrypt, with(private(k.rsa), object{"alg": "RSA1_5"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"alg of another type":          {Public, with(public(k.rsa), object{"alg": "ES256"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"alg of another curve":         {Public, with(public(k.p256), object{"alg": "ES384"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"use enc":                      {Public, with(public(k.rsa), object{"use": "enc"}), `its use is not "sig"`},
		"use x509-svid":                {Public, with(public(k.rsa), object{"use": "x509-svid"}), `its use is not "sig"`},
		"use sig to decrypt":           {Decrypt, with(private(k.rsa), object{"use": "sig"}), `its use is not "enc"`},
		"key_ops without verify":       {Public, with(public(k.rsa), object{"key_ops": []string{"encrypt"}}), `its key_ops have no "verify"`},
		"key_ops sign, public":         {Public, with(public(k.rsa), object{"key_ops": []string{"sign"}}), `its key_ops have no "verify"`},
		"key_ops a string":             {Public, with(public(k.rsa), object{"key_ops": "verify"}), "key_ops is not a list"},
		"a private key in public":      {Public, private(k.rsa), "has the private member d in a place for public keys"},
		"a private EC key in public":   {Public, private(k.p256), "has the private member d in a place for public keys"},
		"a secret in public":           {Public, public(k.secret), "is a symmetric key in a place for public keys"},
		"a public key to decrypt":      {Decrypt, public(k.rsa), "is a public key; decryption needs the private one"},
		"a d of another key":           {Decrypt, with(private(k.p256), object{"d": b64(append(make([]byte, 31), 7))}), "has a private member that does not belong to the public ones"},
		"an RSA d of another key":      {Decrypt, with(private(k.rsa), object{"d": private(k.rsa2)["d"]}), "has private members that do not belong to the public ones"},
		"RSA without primes":           {Decrypt, with(private(k.rsa), object{"p": gone}), "has no p"},
		"RSA of three primes":          {Decrypt, with(private(k.rsa), object{"oth": []any{object{}}}), "has more than two primes"},
		"an X25519 d of another key":   {Decrypt, with(private(k.x25519), object{"d": b64(make([]byte, 32))}), "has a private member that does not belong to the public one"},
		"an x5c with another key":      {Public, with(public(k.rsa), object{"x5c": x5c(other.Raw)}), "x5c holds another key"},
		"an x5c with the key itself":   {Public, with(public(k.rsa), object{"x5c": x5c(leaf.Raw)}), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := with(public(k.p521), object{"kid": "good"})
			if tc.use == Decrypt {
				good = with(private(k.p521), object{"kid": "good"})
			}
			s, err := Parse([]byte(jwks(tc.jwk, good)), tc.use)
			if err != nil {
				t.Fatal(err)
			}
			if tc.problem == "" {
				if len(s.Notes()) > 0 {
					t.Fatal(s.Notes())
				}
				return
			}
			if s.Len() != 1 || s.Keys()[0].ID != "good" || len(s.Notes()) != 1 {
				t.Fatalf("%d keys, problems %q", s.Len(), s.Notes())
			}
			if got := s.Notes()[0]; !strings.HasSuffix(got, ": "+tc.problem) {
				t.Errorf("got %q, want %q", got, tc.problem)
			}
			if _, err := Parse([]byte(jwks(tc.jwk)), tc.use); err == nil || !strings.Contains(err.Error(), tc.problem) {
				t.Errorf("alone: got %v", err)
			}
		})
	}
}

func TestProblemsNameTheKey(t *testing.T) {
	t.Parallel()
	k := keys()
	weak := public(k.weak)
	s, err := Parse([]byte(jwks(weak, with(weak, object{"kid": "old\nlevel=info"}), public(k.secret[:8]), public(k.rsa))), Verify)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"left out: thumbprint " + thumbprint(map[string]string{"kty": "RSA", "n": weak["n"].(string), "e": "AQAB"}) + ": has 1024 bits; an RSA key has at least 2048",
		`left out: kid "old\nlevel=info": has 1024 bits; an RSA key has at least 2048`,
		"left out: keys[2]: has 8 bytes; an HMAC secret has at least 32",
	}
	if diff := cmp.Diff(want, s.Notes()); diff != "" {
		t.Error(diff)
	}
}

// TestKeysThatShareAKid holds that none of them is lost: an issuer with one kid for ever publishes two while it rotates.
func TestKeysThatShareAKid(t *testing.T) {
	t.Parallel()
	k := keys()
	kid := func(o object, alg string) object {
		o = with(o, object{"kid": "a"})
		if alg != "" {
			o["alg"] = alg
		}
		return o
	}
	tests := map[string]struct {
		keys []any
		len  int
	}{
		"the same key twice":          {[]any{kid(public(k.rsa), ""), kid(public(k.rsa), "")}, 1},
		"keys of two types":           {[]any{kid(public(k.rsa), ""), kid(public(k.p256), "")}, 2},
		"keys of two curves":          {[]any{kid(public(k.p521), ""), kid(public(k.p256), "")}, 2},
		"one key for two algorithms":  {[]any{kid(public(k.rsa), "RS256"), kid(public(k.rsa), "PS256")}, 2},
		"two keys for two algorithms": {[]any{kid(public(k.rsa), "RS256"), kid(public(k.rsa2), "PS256")}, 2},
		"two keys for one algorithm":  {[]any{kid(public(k.rsa), ""), kid(public(k.rsa2), "RS256"), public(k.ed)}, 3},
		"a public key and a secret":   {[]any{kid(public(k.rsa), ""), kid(public(k.secret), "")}, 2},
		"keys without kid":            {[]any{public(k.rsa), public(k.rsa2)}, 2},
		"one key, written twice":      {[]any{kid(public(k.rsa), ""), kid(with(public(k.rsa), object{"n": "AAAA" + b64(k.rsa.N.Bytes()), "ext": true}), "")}, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse([]byte(jwks(tc.keys...)), Verify)
			if err != nil {
				t.Fatal(err)
			}
			if s.Len() != tc.len || len(s.Notes()) != 0 {
				t.Errorf("%d keys, notes %q", s.Len(), s.Notes())
			}
		})
	}
}

// TestSourcesRefused gives sources of which nothing can be used: sets of 10,000 odd keys, open JSON, garbled PEM, secrets
// where public keys belong.
func TestSourcesRefused(t *testing.T) {
	t.Parallel()
	k := keys()
	tenThousand := make([]any, 10000)
	for i := range tenThousand {
		tenThousand[i] = object{"kty": "oct", "k": "AA"}
	}
	tests := map[string]struct {
		use  Use
		data string
		want string
	}{
		"nothing":                {Verify, "", "is empty; want a JWK Set, PEM or a secret"},
		"white space":            {Verify, " \n", "is empty; want a JWK Set, PEM or a secret"},
		"more than a mebibyte":   {Verify, strings.Repeat("a", MaxBytes+1), "has 1048577 bytes; at most 1048576 are read"},
		"10,000 keys":            {Verify, jwks(tenThousand...), "holds no usable key: keys[0]: has 1 bytes; an HMAC secret has at least 32; keys[1]: has 1 bytes; an HMAC secret has at least 32; keys[2]: has 1 bytes; an HMAC secret has at least 32; keys[3]: has 1 bytes; an HMAC secret has at least 32; keys[4]: has 1 bytes; an HMAC secret has at least 32; and 9995 more"},
		"an empty set":           {Verify, `{"keys":[]}`, "holds no keys"},
		"an empty object":        {Verify, `{}`, `is no JWK Set: want {"keys": [...]}, a list of keys, or a single key with "kty"; if it is an HMAC secret, say so with format: HMAC`},
		"keys that is null":      {Verify, `{"keys":null}`, `is no JWK Set: want {"keys": [...]}, a list of keys, or a single key with "kty"; if it is an HMAC secret, say so with format: HMAC`},
		"keys that is an object": {Verify, `{"keys":{}}`, `is no JWK Set: want {"keys": [...]}, a list of keys, or a single key with "kty"; if it is an HMAC secret, say so with format: HMAC`},
		"open JSON":              {Verify, `{"keys":[`, "is not valid JSON at byte 9; if it is an HMAC secret, say so with format: HMAC"},
		"a member twice":         {Verify, `{"keys":[],"keys":[]}`, "has a duplicate member at byte 17; if it is an HMAC secret, say so with format: HMAC"},
		"a web page for a URL":   {Public, "<html>not found</html>", "is neither a JWK Set nor PEM nor a certificate"},
		"a secret for a URL":     {Public, string(k.secret), "is neither a JWK Set nor PEM nor a certificate"},
		"a short secret":         {Verify, "hunter2", "is neither a JWK Set nor PEM, and as an HMAC secret its 7 bytes are too few; want at least 32"},
		"a secret of odd size":   {Decrypt, "hunter2", "as a raw secret has 7 bytes; want 16, 24, 32, 48 or 64, as the algorithm has it"},
		"garbled PEM":            {Verify, "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n", "holds no usable key: PEM block 1: is garbled"},
		"PEM of something else":  {Verify, block("DH PARAMETERS", []byte{1}, nil), "holds no usable key: PEM block 1: is none of PUBLIC KEY, CERTIFICATE, PRIVATE KEY, RSA or EC PRIVATE KEY, RSA PUBLIC KEY"},
		"encrypted PEM":          {Decrypt, block("ENCRYPTED PRIVATE KEY", []byte{1}, nil), "holds no usable key: PEM block 1: is encrypted; want it without a password"},
		"many odd keys":          {Verify, jwks(tenThousand[:7]...), "holds no usable key: keys[0]: has 1 bytes; an HMAC secret has at least 32; keys[1]: has 1 bytes; an HMAC secret has at least 32; keys[2]: has 1 bytes; an HMAC secret has at least 32; keys[3]: has 1 bytes; an HMAC secret has at least 32; keys[4]: has 1 bytes; an HMAC secret has at least 32; and 2 more"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Read([]byte(tc.data), Reading{Use: tc.use, Secret: true})
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
