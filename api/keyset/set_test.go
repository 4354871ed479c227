package keyset

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
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

func TestWeakLibrary(t *testing.T) {
	t.Parallel()
	n, _ := new(big.Int).SetString("1", 10)
	if !weakRSALibrary(n) || weakRSALibrary(keys().rsa.N) {
		t.Error("the fingerprint of CVE-2017-15361 is not told apart")
	}
}

// What is taken from any form is read again from the canonical one, as sidecars do.
func TestWhatIsTakenIsReadAgain(t *testing.T) {
	t.Parallel()
	k := keys()
	large := k.rsa.PublicKey
	large.E = math.MaxInt32 + 2
	der, err := x509.MarshalPKIXPublicKey(&large)
	if _, err := Parse([]byte(block("PUBLIC KEY", der, err)), Public); err == nil || !strings.Contains(err.Error(), "exponent above") {
		t.Errorf("an exponent of more than 31 bits in PEM: %v", err)
	}
	many := func(id string) string {
		var list []any
		for i := range 150 {
			key := public(k.p256)
			key["kid"] = fmt.Sprint(strings.Repeat(id, 1000), i)
			list = append(list, key)
		}
		return jwks(list...)
	}
	for id, refused := range map[string]bool{"<": false, "a": false, "\u2028": true} {
		s, err := Parse([]byte(strings.ReplaceAll(many(id), `\u2028`, "\u2028")), Public)
		if refused != (err != nil) {
			t.Errorf("ids of %q: %v", id, err)
		}
		if err != nil {
			continue
		}
		if again, err := Parse(s.Canonical(), Public); err != nil || len(again.Keys()) != len(s.Keys()) {
			t.Errorf("ids of %q: the canonical form: %v", id, err)
		}
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
			if len(got.Notes()) != tc.problems {
				t.Errorf("problems %q", got.Notes())
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
		Public: {jwks(private(k.rsa)), jwks(public(k.secret)), string(k.secret), jwks(object{"kty": b64(k.secret)}), jwks(object{"kty": "EC", "crv": b64(k.secret)}),
			jwks(with(public(k.rsa), object{"key_ops": []string{b64(k.secret)}})), jwks(with(public(k.rsa), object{"x5c": []string{b64(k.secret)}})),
			block(b64(k.secret)[:40], k.secret, nil), block("PUBLIC KEY", k.secret, nil), `{"` + b64(k.secret) + `":1}`, `{"keys":[` + b64(k.secret)},
	} {
		for _, d := range data {
			s, err := Read([]byte(d), Reading{Use: use, Secret: true})
			fmt.Fprintln(&out, err)
			if s == nil {
				continue
			}
			log.Info("set", "set", s, "keys", s.Keys(), "key", s.Keys()[0], "notes", s.Notes())
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
		if string(again.Canonical()) != string(s.Canonical()) || len(again.Notes()) > 0 {
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
