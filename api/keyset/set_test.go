package keyset

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAlgorithmsOfKeys(t *testing.T) {
	t.Parallel()
	k := keys()
	all := []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519",
		"HS256", "HS384", "HS512", "RSA-OAEP", "RSA-OAEP-256", "RSA1_5", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW",
		"A128KW", "A192KW", "A256KW", "A128GCMKW", "A192GCMKW", "A256GCMKW", "dir", "A128GCM", "A192GCM", "A256GCM",
		"A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "none", "",
	}
	tests := map[string]struct {
		use  Use
		jwk  object
		want string
	}{
		"RSA":                       {Verify, public(k.rsa), "RS256 RS384 RS512 PS256 PS384 PS512"},
		"RSA with an alg":           {Verify, with(public(k.rsa), object{"alg": "PS512"}), "PS512"},
		"RSA from a private key":    {Verify, private(k.rsa), "RS256 RS384 RS512 PS256 PS384 PS512"},
		"RSA to decrypt":            {Decrypt, private(k.rsa), "RSA-OAEP RSA-OAEP-256"},
		"P-256":                     {Public, public(k.p256), "ES256"},
		"P-521":                     {Public, public(k.p521), "ES512"},
		"secp256k1":                 {Public, public(k.k1), "ES256K"},
		"P-256 to decrypt":          {Decrypt, private(k.p256), "ECDH-ES ECDH-ES+A128KW ECDH-ES+A192KW ECDH-ES+A256KW"},
		"Ed25519":                   {Public, public(k.ed), "EdDSA Ed25519"},
		"Ed25519 called EdDSA":      {Public, with(public(k.ed), object{"alg": "EdDSA"}), "EdDSA Ed25519"},
		"X25519":                    {Decrypt, private(k.x25519), "ECDH-ES ECDH-ES+A128KW ECDH-ES+A192KW ECDH-ES+A256KW"},
		"32 bytes":                  {Verify, public(k.secret[:32]), "HS256"},
		"48 bytes":                  {Verify, public(k.secret[:48]), "HS256 HS384"},
		"64 bytes":                  {Verify, public(k.secret), "HS256 HS384 HS512"},
		"16 bytes to decrypt":       {Decrypt, public(k.secret[:16]), "A128KW A128GCMKW dir A128GCM"},
		"32 bytes to decrypt":       {Decrypt, public(k.secret[:32]), "A256KW A256GCMKW dir A256GCM A128CBC-HS256"},
		"48 bytes to decrypt":       {Decrypt, public(k.secret[:48]), "dir A192CBC-HS384"},
		"64 bytes to decrypt":       {Decrypt, public(k.secret), "dir A256CBC-HS512"},
		"alg A256KW":                {Decrypt, with(public(k.secret[:32]), object{"alg": "A256KW"}), "A256KW"},
		"alg dir":                   {Decrypt, with(public(k.secret[:32]), object{"alg": "dir"}), "dir A256GCM A128CBC-HS256"},
		"a content encryption":      {Decrypt, with(public(k.secret[:32]), object{"alg": "A128CBC-HS256"}), "dir A128CBC-HS256"},
		"key_ops of a verifier":     {Public, with(public(k.rsa), object{"key_ops": []string{"verify"}, "use": "sig"}), "RS256 RS384 RS512 PS256 PS384 PS512"},
		"key_ops of a signer":       {Verify, with(private(k.p256), object{"key_ops": []string{"sign"}}), "ES256"},
		"key_ops of a decrypter":    {Decrypt, with(private(k.p256), object{"key_ops": []string{"deriveKey"}, "use": "enc"}), "ECDH-ES ECDH-ES+A128KW ECDH-ES+A192KW ECDH-ES+A256KW"},
		"members that nobody knows": {Public, with(public(k.p256), object{"x": public(k.p256)["x"], "ext": true, "nbf": 1}), "ES256"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse([]byte(jwks(tc.jwk)), tc.use)
			if err != nil {
				t.Fatal(err)
			}
			var fits []string
			for _, a := range all {
				if s.Keys()[0].Fits(a) {
					fits = append(fits, a)
				}
			}
			if diff := cmp.Diff(tc.want, strings.Join(fits, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

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
		"an unknown kty":              {Public, object{"kty": "XYZ"}, "has a kty that is none of RSA, EC, OKP, oct"},
		"no kty":                      {Public, object{"n": "AQAB"}, "has no kty"},
		"a kty that is a number":      {Public, object{"kty": 1}, "kty is not a string"},
		"no object":                   {Public, "AQAB", "is not an object"},
		"null":                        {Public, nil, "is not an object"},
		"an empty object":             {Public, object{}, "has no kty"},
		"a kid that is a number":      {Public, with(public(k.rsa), object{"kid": 1}), "kid is not a string"},
		"a long kid":                  {Public, with(public(k.rsa), object{"kid": strings.Repeat("k", 1025)}), "kid is longer than 1024 bytes"},
		"RSA of 1024 bits":            {Public, public(k.weak), "has 1024 bits; an RSA key has at least 2048"},
		"RSA of 16384 bits":           {Public, with(public(k.rsa), object{"n": b64([]byte(strings.Repeat("\xff", 2048)))}), "has 16384 bits; an RSA key of more than 8192 is not taken"},
		"an even modulus":             {Public, even, "has an even modulus"},
		"an exponent of 1":            {Public, with(public(k.rsa), object{"e": "AQ"}), "has an exponent that is even or less than 3"},
		"an even exponent":            {Public, with(public(k.rsa), object{"e": "AQAA"}), "has an exponent that is even or less than 3"},
		"a huge exponent":             {Public, with(public(k.rsa), object{"e": "AQAAAAE"}), "has an exponent above 2^31-1"},
		"no exponent":                 {Public, with(public(k.rsa), object{"e": gone}), "has no e"},
		"a modulus with padding":      {Public, with(public(k.rsa), object{"n": "AQAB=="}), "n is not base64url without padding"},
		"a modulus with a line break": {Public, with(public(k.rsa), object{"n": "AQ\nAB"}), "n is not base64url without padding"},
		"a modulus that is a number":  {Public, with(public(k.rsa), object{"n": 17}), "n is not a string"},
		"unused bits":                 {Verify, object{"kty": "oct", "k": strings.Repeat("A", 42) + "B"}, "k is not base64url without padding"},
		"a point off the curve":       {Public, with(public(k.p256), object{"y": b64(make([]byte, 32))}), "is not a point on its curve"},
		"a secp256k1 point off":       {Public, with(public(k.k1), object{"y": b64(make([]byte, 32))}), "is not a point on its curve"},
		"a short coordinate":          {Public, with(public(k.p256), object{"x": b64(make([]byte, 31))}), "x has 31 bytes; want 32"},
		"another curve's name":        {Public, with(public(k.p256), object{"crv": "P-521"}), "x has 32 bytes; want 66"},
		"an unknown curve":            {Public, with(public(k.p256), object{"crv": "P-224"}), "has a crv that is none of P-256, P-384, P-521, secp256k1"},
		"Ed448":                       {Public, object{"kty": "OKP", "crv": "Ed448", "x": b64(make([]byte, 57))}, "x has 57 bytes; want 32"},
		"X25519 to verify":            {Public, public(k.x25519), "X25519 does not verify"},
		"Ed25519 to decrypt":          {Decrypt, private(k.ed), "Ed25519 does not decrypt"},
		"secp256k1 to decrypt":        {Decrypt, private(k.k1), "secp256k1 does not decrypt"},
		"a short HMAC secret":         {Verify, public(k.secret[:31]), "has 31 bytes; an HMAC secret has at least 32"},
		"HS512 with 32 bytes":         {Verify, with(public(k.secret[:32]), object{"alg": "HS512"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"A128KW with 32 bytes":        {Decrypt, with(public(k.secret[:32]), object{"alg": "A128KW"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"a key of 20 bytes":           {Decrypt, public(k.secret[:20]), "has 20 bytes; want 16, 24, 32, 48 or 64, as the algorithm has it"},
		"alg none":                    {Public, with(public(k.rsa), object{"alg": "none"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"alg RSA1_5":                  {Decrypt, with(private(k.rsa), object{"alg": "RSA1_5"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"alg of another type":         {Public, with(public(k.rsa), object{"alg": "ES256"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"alg of another curve":        {Public, with(public(k.p256), object{"alg": "ES384"}), "its alg is unknown, not allowed, or does not fit its type, curve or size"},
		"an alg that is null":         {Public, with(public(k.rsa), object{"alg": nil}), "alg is not a string"},
		"use enc":                     {Public, with(public(k.rsa), object{"use": "enc"}), `its use is not "sig"`},
		"an empty use":                {Public, with(public(k.rsa), object{"use": ""}), `its use is not "sig"`},
		"use sig to decrypt":          {Decrypt, with(private(k.rsa), object{"use": "sig"}), `its use is not "enc"`},
		"key_ops without verify":      {Public, with(public(k.rsa), object{"key_ops": []string{"encrypt"}}), `its key_ops have no "verify"`},
		"key_ops sign, public":        {Public, with(public(k.rsa), object{"key_ops": []string{"sign"}}), `its key_ops have no "verify"`},
		"empty key_ops":               {Public, with(public(k.rsa), object{"key_ops": []string{}}), `its key_ops have no "verify"`},
		"key_ops twice":               {Public, with(public(k.rsa), object{"key_ops": []string{"verify", "verify"}}), "key_ops is not a list of different strings"},
		"key_ops a string":            {Public, with(public(k.rsa), object{"key_ops": "verify"}), "key_ops is not a list"},
		"a private key in public":     {Public, private(k.rsa), "has the private member d in a place for public keys"},
		"a private EC key in public":  {Public, private(k.p256), "has the private member d in a place for public keys"},
		"a secret in public":          {Public, public(k.secret), "is a symmetric key in a place for public keys"},
		"a public key to decrypt":     {Decrypt, public(k.rsa), "is a public key; decryption needs the private one"},
		"a d of another key":          {Decrypt, with(private(k.p256), object{"d": b64(append(make([]byte, 31), 7))}), "has a private member that does not belong to the public ones"},
		"an RSA d of another key":     {Decrypt, with(private(k.rsa), object{"d": private(k.rsa2)["d"]}), "has private members that do not belong to the public ones"},
		"RSA without primes":          {Decrypt, with(private(k.rsa), object{"p": gone}), "has no p"},
		"RSA of three primes":         {Decrypt, with(private(k.rsa), object{"oth": []any{}}), "has more than two primes"},
		"an X25519 d of another key":  {Decrypt, with(private(k.x25519), object{"d": b64(make([]byte, 32))}), "has a private member that does not belong to the public one"},
		"a broken x5c":                {Public, with(public(k.rsa), object{"x5c": []string{"MII"}}), "x5c is not base64"},
		"an x5c of garbage":           {Public, with(public(k.rsa), object{"x5c": x5c([]byte("garbage"))}), "x5c does not hold an X.509 certificate"},
		"an empty x5c":                {Public, with(public(k.rsa), object{"x5c": []string{}}), "x5c is not a list of certificates"},
		"an x5c with another key":     {Public, with(public(k.rsa), object{"x5c": x5c(other.Raw)}), "x5c holds another key"},
		"an x5c with the key itself":  {Public, with(public(k.rsa), object{"x5c": x5c(leaf.Raw)}), ""},
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
				if len(s.Problems()) > 0 {
					t.Fatal(s.Problems())
				}
				return
			}
			if s.Len() != 1 || s.Keys()[0].ID != "good" || len(s.Problems()) != 1 {
				t.Fatalf("%d keys, problems %q", s.Len(), s.Problems())
			}
			if got := s.Problems()[0]; !strings.HasSuffix(got, ": "+tc.problem) {
				t.Errorf("got %q, want %q", got, tc.problem)
			}
			if _, err := Parse([]byte(jwks(tc.jwk)), tc.use); err == nil || !strings.Contains(err.Error(), tc.problem) {
				t.Errorf("alone: got %v", err)
			}
		})
	}
}

func TestWeakLibrary(t *testing.T) {
	t.Parallel()
	n, _ := new(big.Int).SetString("1", 10)
	if !weakRSALibrary(n) || weakRSALibrary(keys().rsa.N) {
		t.Error("the fingerprint of CVE-2017-15361 is not told apart")
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
		"thumbprint " + thumbprint(map[string]string{"kty": "RSA", "n": weak["n"].(string), "e": "AQAB"}) + ": has 1024 bits; an RSA key has at least 2048",
		`kid "old\nlevel=info": has 1024 bits; an RSA key has at least 2048`,
		"key 3: has 8 bytes; an HMAC secret has at least 32",
	}
	if diff := cmp.Diff(want, s.Problems()); diff != "" {
		t.Error(diff)
	}
}

func TestDuplicateKids(t *testing.T) {
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
		keys     []any
		len      int
		problems int
	}{
		"the same key twice":              {[]any{kid(public(k.rsa), ""), kid(public(k.rsa), "")}, 1, 0},
		"keys of two types":               {[]any{kid(public(k.rsa), ""), kid(public(k.p256), "")}, 2, 0},
		"keys of two curves":              {[]any{kid(public(k.p521), ""), kid(public(k.p256), "")}, 2, 0},
		"one key for two algorithms":      {[]any{kid(public(k.rsa), "RS256"), kid(public(k.rsa), "PS256")}, 2, 0},
		"two keys for two algorithms":     {[]any{kid(public(k.rsa), "RS256"), kid(public(k.rsa2), "PS256")}, 2, 0},
		"two keys for one algorithm":      {[]any{kid(public(k.rsa), ""), kid(public(k.rsa2), "RS256"), public(k.ed)}, 1, 1},
		"three keys, two of one alg":      {[]any{kid(public(k.rsa), ""), kid(public(k.p256), ""), kid(public(k.rsa2), ""), public(k.ed)}, 1, 1},
		"keys without kid are not judged": {[]any{public(k.rsa), public(k.rsa2)}, 2, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse([]byte(jwks(tc.keys...)), Verify)
			if err != nil {
				t.Fatal(err)
			}
			if s.Len() != tc.len || len(s.Problems()) != tc.problems {
				t.Errorf("%d keys, problems %q", s.Len(), s.Problems())
			}
		})
	}
}

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
		"10,000 keys":            {Verify, jwks(tenThousand...), "has 10000 keys; at most 100 are read"},
		"an empty set":           {Verify, `{"keys":[]}`, "holds no keys"},
		"an empty object":        {Verify, `{}`, `is no JWK Set: want {"keys": [...]} or a single key with "kty"`},
		"keys that is null":      {Verify, `{"keys":null}`, `is no JWK Set: want {"keys": [...]} or a single key with "kty"`},
		"keys that is an object": {Verify, `{"keys":{}}`, `is no JWK Set: want {"keys": [...]} or a single key with "kty"`},
		"open JSON":              {Verify, `{"keys":[`, "is not valid JSON at byte 9"},
		"a member twice":         {Verify, `{"keys":[],"keys":[]}`, "has a duplicate member at byte 17"},
		"a web page for a URL":   {Public, "<html>not found</html>", "is neither a JWK Set nor PEM"},
		"a secret for a URL":     {Public, string(k.secret), "is neither a JWK Set nor PEM"},
		"a short secret":         {Verify, "hunter2", "is neither a JWK Set nor PEM, and as an HMAC secret its 7 bytes are too few; want at least 32"},
		"a secret of odd size":   {Decrypt, "hunter2", "as a raw secret has 7 bytes; want 16, 24, 32, 48 or 64, as the algorithm has it"},
		"garbled PEM":            {Verify, "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n", "PEM block 1 is garbled"},
		"PEM of something else":  {Verify, block("DH PARAMETERS", []byte{1}, nil), "holds no usable key: PEM block 1: is none of PUBLIC KEY, CERTIFICATE, PRIVATE KEY, RSA or EC PRIVATE KEY, RSA PUBLIC KEY"},
		"encrypted PEM":          {Decrypt, block("ENCRYPTED PRIVATE KEY", []byte{1}, nil), "holds no usable key: PEM block 1: is none of PUBLIC KEY, CERTIFICATE, PRIVATE KEY, RSA or EC PRIVATE KEY, RSA PUBLIC KEY"},
		"many odd keys":          {Verify, jwks(tenThousand[:7]...), "holds no usable key: key 1: has 1 bytes; an HMAC secret has at least 32; key 2: has 1 bytes; an HMAC secret has at least 32; key 3: has 1 bytes; an HMAC secret has at least 32; key 4: has 1 bytes; an HMAC secret has at least 32; key 5: has 1 bytes; an HMAC secret has at least 32; and 2 more"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tc.data), tc.use)
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPEM(t *testing.T) {
	t.Parallel()
	k := keys()
	pkix := func(pub any) string { der, err := x509.MarshalPKIXPublicKey(pub); return block("PUBLIC KEY", der, err) }
	pkcs8 := func(priv any) string {
		der, err := x509.MarshalPKCS8PrivateKey(priv)
		return block("PRIVATE KEY", der, err)
	}
	sec1 := func() string { der, err := x509.MarshalECPrivateKey(k.p256); return block("EC PRIVATE KEY", der, err) }
	ca := certificate(t, "ca", &k.rsa.PublicKey, nil, k.rsa)
	leaf := certificate(t, "leaf", &k.p256.PublicKey, ca, k.rsa)
	cert := func(c *x509.Certificate) string { return block("CERTIFICATE", c.Raw, nil) }
	tests := map[string]struct {
		use      Use
		data     string
		want     []any // the JWKs that it is equal to
		problems int
	}{
		"an RSA public key":              {Public, pkix(&k.rsa.PublicKey), []any{public(k.rsa)}, 0},
		"a PKCS 1 public key":            {Public, block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey), nil), []any{public(k.rsa)}, 0},
		"an EC public key":               {Public, pkix(&k.p256.PublicKey), []any{public(k.p256)}, 0},
		"an Ed25519 public key":          {Public, pkix(k.ed.Public()), []any{public(k.ed)}, 0},
		"text before and after":          {Public, "\n" + pkix(&k.p256.PublicKey) + "trailing text\n", []any{public(k.p256)}, 0},
		"two public keys":                {Public, pkix(&k.rsa.PublicKey) + pkix(&k.p256.PublicKey), []any{public(k.rsa), public(k.p256)}, 0},
		"a certificate":                  {Public, cert(ca), []any{public(k.rsa)}, 0},
		"a chain":                        {Public, cert(leaf) + cert(ca), []any{public(k.p256)}, 1},
		"a chain the other way round":    {Public, cert(ca) + cert(leaf), []any{public(k.p256)}, 1},
		"a private key to verify":        {Verify, pkcs8(k.rsa), []any{public(k.rsa)}, 0},
		"an Ed25519 private to verify":   {Verify, pkcs8(k.ed), []any{public(k.ed)}, 0},
		"a PKCS 8 key to decrypt":        {Decrypt, pkcs8(k.rsa), []any{private(k.rsa)}, 0},
		"a PKCS 1 key to decrypt":        {Decrypt, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.rsa), nil), []any{private(k.rsa)}, 0},
		"a SEC 1 key to decrypt":         {Decrypt, block("EC PARAMETERS", []byte{6, 0}, nil) + sec1(), []any{private(k.p256)}, 0},
		"an X25519 key to decrypt":       {Decrypt, pkcs8(k.x25519), []any{private(k.x25519)}, 0},
		"a private key in public places": {Public, pkcs8(k.rsa) + pkix(&k.p256.PublicKey), []any{public(k.p256)}, 1},
		"an odd block beside a good one": {Public, block("PUBLIC KEY", []byte{1}, nil) + pkix(&k.p256.PublicKey), []any{public(k.p256)}, 1},
		"a weak key beside a good one":   {Public, pkix(&k.weak.PublicKey) + pkix(&k.p256.PublicKey), []any{public(k.p256)}, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse([]byte(tc.data), tc.use)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Parse([]byte(jwks(tc.want...)), tc.use)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want.Canonical()), string(got.Canonical())); diff != "" {
				t.Error(diff)
			}
			if len(got.Problems()) != tc.problems {
				t.Errorf("problems %q", got.Problems())
			}
		})
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	k := keys()
	list := []any{with(public(k.rsa), object{"kid": "b", "alg": "RS256", "ext": true}), with(public(k.p256), object{"kid": "a<"}), public(k.ed), public(k.secret)}
	s, err := Parse([]byte(jwks(list...)), Verify)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(s.Canonical(), Verify)
	if err != nil {
		t.Fatal(err)
	}
	turned, _ := Parse([]byte(jwks(list[3], list[2], list[1], list[0])), Verify)
	for name, other := range map[string]*Set{"parsed again": again, "in another order": turned} {
		if diff := cmp.Diff(string(s.Canonical()), string(other.Canonical())); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	single, err := Parse([]byte(text(list[0])), Verify)
	if err != nil || single.Len() != 1 {
		t.Errorf("a single JWK: %v", err)
	}
	private, err := Parse([]byte(jwks(private(k.rsa))), Verify)
	if err != nil || strings.Contains(string(private.Canonical()), `"d"`) {
		t.Error("the private half of a verifying key is kept")
	}
}

func TestThumbprint(t *testing.T) {
	t.Parallel()
	// RFC 7638 section 3.1.
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	s, err := Parse([]byte(text(object{"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})), Public)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Keys()[0].Thumbprint; got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("got %s", got)
	}
}

// TestNothingPrintsKeys formats, logs and marshals everything the package gives away.
func TestNothingPrintsKeys(t *testing.T) {
	t.Parallel()
	k := keys()
	canaries := []string{string(k.secret[:16]), b64(k.secret), b64(k.secret)[:20], b64(k.rsa.D.Bytes())[:20], k.rsa.D.String()[:20], fmt.Sprintf("%x", k.secret[:8])}
	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for use, data := range map[Use][]string{
		Verify:  {string(k.secret), jwks(public(k.secret)), jwks(private(k.rsa)), jwks(with(public(k.secret), object{"k": b64(k.secret) + "=="})), jwks(with(public(k.secret), object{"alg": b64(k.secret)})), "{" + string(k.secret), jwks(with(public(k.secret), object{"use": b64(k.secret)}))},
		Decrypt: {jwks(private(k.rsa)), string(k.secret), jwks(with(private(k.rsa), object{"p": private(k.rsa)["d"]})), string(k.secret[:63])},
		Public:  {jwks(private(k.rsa)), jwks(public(k.secret)), string(k.secret)},
	} {
		for _, d := range data {
			s, err := Parse([]byte(d), use)
			fmt.Fprintln(&out, err)
			if s == nil {
				continue
			}
			log.Info("set", "set", s, "keys", s.Keys(), "key", s.Keys()[0], "problems", s.Problems())
			fmt.Fprintf(&out, "%v %+v %#v %s %x %q\n", s, s.Keys(), s.Keys(), s.Keys()[0], s.Keys()[0], &s.Keys()[0])
			b, _ := json.Marshal(s.Keys())
			out.Write(b)
		}
	}
	for _, c := range canaries {
		if strings.Contains(out.String(), c) {
			t.Errorf("key material %q is printed", c)
		}
	}
}

func FuzzParse(f *testing.F) {
	k := keys()
	for _, s := range []string{
		jwks(public(k.rsa), public(k.p256), public(k.ed), public(k.k1)), jwks(public(k.secret)), jwks(private(k.rsa)), jwks(private(k.x25519)),
		`{"keys":[{"kty":"RSA"}]}`, "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", strings.Repeat("s", 32),
	} {
		for _, use := range []int{0, 1, 2} {
			f.Add([]byte(s), use)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, use int) {
		u := Use(uint(use) % 3)
		s, err := Parse(data, u)
		if err != nil {
			return
		}
		again, err := Parse(s.Canonical(), u)
		if err != nil {
			t.Fatalf("the canonical form is refused: %v", err)
		}
		if string(again.Canonical()) != string(s.Canonical()) || len(again.Problems()) > 0 {
			t.Fatal("the canonical form means something else")
		}
		for _, key := range s.Keys() {
			if r, ok := key.Raw().(*rsa.PublicKey); ok && r.N.BitLen() < 2048 || u == Public && key.Symmetric() || key.Fits("none") {
				t.Fatal("a key that must not be there")
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	data := []byte(jwks(with(public(keys().rsa), object{"kid": "a"}), with(public(other), object{"kid": "b"}), with(public(keys().p256), object{"kid": "c"})))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data, Public); err != nil {
			b.Fatal(err)
		}
	}
}
