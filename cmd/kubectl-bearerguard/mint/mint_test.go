package mint

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/jws"
)

const payload = `{"sub":"alice"}`

func newKey(t *testing.T, alg string) Keys {
	t.Helper()
	key, err := NewKey(KeyOptions{Algorithm: alg, ID: "k1"})
	if err != nil {
		t.Fatal(err)
	}
	return reread(t, key)
}

// reread sends keys through their JSON form, as the command does.
func reread(t *testing.T, keys Keys) Keys {
	t.Helper()
	text, err := keys.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	if keys, err = ParseKeys(text); err != nil {
		t.Fatal(err)
	}
	return keys
}

// header returns the decoded header of a compact token.
func header(t *testing.T, token string) map[string]any {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func TestSignatureOfEveryAlgorithmVerifies(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms(Signature) {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			keys := newKey(t, alg)
			token, err := Sign([]byte(payload), keys, SignOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"alg": alg, "kid": "k1", "typ": "JWT"}
			if diff := cmp.Diff(want, header(t, token)); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			verify(t, token, keys, alg)
		})
	}
}

func verify(t *testing.T, token string, keys Keys, alg string) {
	t.Helper()
	var raw any
	verifier := keys
	if public, err := keys.Public(); err == nil {
		verifier = reread(t, public)
	}
	if err := verifier.keys[0].Raw(&raw); err != nil {
		t.Fatal(err)
	}
	if alg == "Ed25519" { // jwx has no such name
		i := strings.LastIndex(token, ".")
		signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
		if err != nil || !ed25519.Verify(raw.(ed25519.PublicKey), []byte(token[:i]), signature) {
			t.Errorf("signature does not verify (%v)", err)
		}
		return
	}
	got, err := jws.Verify([]byte(token), jws.WithKey(jwa.SignatureAlgorithm(alg), raw))
	if err != nil || string(got) != payload {
		t.Errorf("verified %q, %v", got, err)
	}
}

func TestEncryptionOfEveryAlgorithmDecrypts(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms(Encryption) {
		for _, enc := range ContentAlgorithms() {
			if alg == "dir" && enc != "A256GCM" && enc != "A128CBC-HS256" {
				continue // the key's size decides
			}
			t.Run(alg+" "+enc, func(t *testing.T) {
				t.Parallel()
				keys := newKey(t, alg)
				encrypter := keys
				if public, err := keys.Public(); err == nil {
					encrypter = reread(t, public)
				}
				o := EncryptOptions{Content: enc, Header: map[string]any{"cty": "JWT"}}
				token, err := Encrypt([]byte(payload), encrypter, o)
				if err != nil {
					t.Fatal(err)
				}
				h := header(t, token)
				if h["alg"] != alg || h["enc"] != enc || h["kid"] != "k1" || h["cty"] != "JWT" {
					t.Errorf("header is %v", h)
				}
				got, err := jwe.Decrypt([]byte(token), jwe.WithKey(jwa.KeyEncryptionAlgorithm(alg), keys.keys[0]))
				if err != nil || string(got) != payload {
					t.Errorf("decrypted %q, %v", got, err)
				}
			})
		}
	}
}

func TestRawSecretSigns(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		secret, err := NewSecret(alg)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := SecretKeys(secret)
		if err != nil {
			t.Fatal(err)
		}
		token, err := Sign([]byte(payload), keys, SignOptions{Algorithm: alg})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jws.Verify([]byte(token), jws.WithKey(jwa.SignatureAlgorithm(alg), secret)); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestPEMKeepsTheKey(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		keys := newKey(t, alg)
		text, err := keys.PEM()
		if err != nil {
			t.Fatal(err)
		}
		fromPEM, err := ParseKeys(text)
		if err != nil {
			t.Fatal(err)
		}
		token, err := Sign([]byte(payload), fromPEM, SignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := header(t, token)["alg"]; got != alg {
			t.Errorf("alg is %v, want %s, the usual one for the key", got, alg)
		}
		verify(t, token, keys, alg)
	}
}

func TestHeaderCanBeWrongOnPurpose(t *testing.T) {
	t.Parallel()
	keys := newKey(t, "ES256")
	o := SignOptions{Header: map[string]any{"alg": "HS256", "kid": nil, "typ": "at+jwt"}}
	token, err := Sign([]byte(payload), keys, o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"alg": "HS256", "typ": "at+jwt"}
	if diff := cmp.Diff(want, header(t, token)); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	rs, dir := newKey(t, "RS256"), newKey(t, "dir")
	public, err := rs.Public()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := SecretKeys([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(k Keys, o SignOptions) error { _, err := Sign([]byte(payload), k, o); return err }
	encrypt := func(k Keys, o EncryptOptions) error { _, err := Encrypt([]byte(payload), k, o); return err }
	parse := func(s string) error { _, err := ParseKeys([]byte(s)); return err }
	_, few := NewKey(KeyOptions{Algorithm: "RS256", Bits: 1024})
	_, unknown := NewKey(KeyOptions{Algorithm: "RSA1_5"})
	_, noSecret := NewSecret("RS256")
	_, noPublic := secret.Public()
	_, twice := rs.Join(rs)
	tests := map[string]struct {
		got  error
		want string
	}{
		"a kid that no key has":            {sign(rs, SignOptions{KeyID: "k2"}), `no key has the kid "k2"; there are k1`},
		"an algorithm of another key type": {sign(rs, SignOptions{Algorithm: "ES256"}), "key k1: is a RSA key and does not fit ES256"},
		"an algorithm that is none":        {sign(rs, SignOptions{Algorithm: "none"}), `"none" is none of RS256`},
		"signing with a public key":        {sign(public, SignOptions{}), "is public"},
		"signing with an encryption key":   {sign(dir, SignOptions{}), `"dir" is none of RS256`},
		"encrypting with a signature key":  {encrypt(rs, EncryptOptions{}), `"RS256" is none of RSA-OAEP`},
		"an enc that is unknown":           {encrypt(dir, EncryptOptions{Content: "A512GCM"}), `enc "A512GCM" is none of`},
		"dir with a key of another size":   {encrypt(dir, EncryptOptions{Content: "A128GCM"}), "needs a key of 16 bytes; this one has 32"},
		"a JWE header that contradicts":    {encrypt(dir, EncryptOptions{Header: map[string]any{"alg": "A128KW"}}), "cannot be set"},
		"an RSA key that is too small":     {few, "1024 bits are too few"},
		"an algorithm that is never made":  {unknown, `"RSA1_5" is none of RS256`},
		"a raw secret for RSA":             {noSecret, "RS256 has no raw secret"},
		"the public half of a secret":      {noPublic, "is symmetric"},
		"one kid twice":                    {twice, `kid "k1" comes twice`},
		"an empty key file":                {parse(" \n"), "is empty"},
		"a key file that is text":          {parse("hello"), "neither JSON nor PEM"},
		"a key file that is some JSON":     {parse(`{"a":1}`), "cannot be read"},
		"a key file that is an empty set":  {parse(`{"keys":[]}`), "has no keys"},
	}
	for name, tt := range tests {
		if tt.got == nil || !strings.Contains(tt.got.Error(), tt.want) {
			t.Errorf("%s: error is %v, want one that has %q", name, tt.got, tt.want)
		}
	}
}
