package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// everyAlgorithm is what an issuer can list.
func everyAlgorithm() []policy.Algorithm {
	return []policy.Algorithm{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519",
		"HS256", "HS384", "HS512",
	}
}

// signingKeys is one verifying key of each kind, and who signs with it.
func signingKeys(t testing.TB) *keyset.Set {
	k := keys()
	return set(t, keyset.Verify, public(k.rsa, "rsa", ""), public(k.p256, "p256", ""), public(k.p384, "p384", ""),
		public(k.p521, "p521", ""), public(k.k1, "k1", ""), public(k.ed, "ed", ""), public(k.secret, "secret", ""))
}

// signer returns the kid and the key that sign with the algorithm.
func signer(alg string) (string, any) {
	k := keys()
	switch alg {
	case "ES256":
		return "p256", k.p256
	case "ES384":
		return "p384", k.p384
	case "ES512":
		return "p521", k.p521
	case "ES256K":
		return "k1", k.k1
	case "EdDSA", "Ed25519":
		return "ed", k.ed
	}
	if strings.HasPrefix(alg, "HS") {
		return "secret", k.secret
	}
	return "rsa", k.rsa
}

func TestEveryAlgorithmVerifies(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(func(i *policy.Issuer) { i.Algorithms = everyAlgorithm() })})
	for _, a := range everyAlgorithm() {
		alg := string(a)
		kid, key := signer(alg)
		got, reason := verify(v, sign(alg, key, object{"alg": alg, "kid": kid, "typ": "at+jwt"}, claims()))
		if reason != "" || got.KeyID != kid || got.Subject != "alice" {
			t.Errorf("%s: got key %q and reason %q", alg, got.KeyID, reason)
		}
		if _, reason := verify(v, sign(alg, key, object{"alg": alg}, claims())); reason != "" {
			t.Errorf("%s without kid: %s", alg, reason)
		}
		if _, reason := verify(v, tampered(sign(alg, key, object{"alg": alg, "kid": kid}, claims()))); reason != decision.BadSignature {
			t.Errorf("%s tampered with: got %q", alg, reason)
		}
	}
}

// tampered flips a bit in the middle of the signature.
func tampered(raw string) string {
	i := strings.LastIndexByte(raw, '.')
	sig, _ := decode(raw[i+1:])
	sig[len(sig)/2] ^= 1
	return raw[:i+1] + b64(sig)
}

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

func TestHeaderMembers(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	tests := map[string]struct {
		header object
		want   decision.Reason
	}{
		"an embedded key":                  {object{"jwk": public(k.rsa2, "", "")}, decision.HeaderNotAllowed},
		"an embedded key that is null":     {object{"jwk": nil}, decision.HeaderNotAllowed},
		"jku":                              {object{"jku": "https://evil.example/jwks"}, decision.HeaderNotAllowed},
		"x5u":                              {object{"x5u": "https://evil.example/cert"}, decision.HeaderNotAllowed},
		"x5c":                              {object{"x5c": []string{"MII"}}, decision.HeaderNotAllowed},
		"an unknown crit":                  {object{"crit": []string{"exp"}, "exp": 1}, decision.HeaderNotAllowed},
		"an empty crit":                    {object{"crit": []string{}}, decision.HeaderNotAllowed},
		"a crit naming an absent header":   {object{"crit": []string{"absent"}}, decision.HeaderNotAllowed},
		"a crit of a registered name":      {object{"crit": []string{"alg"}}, decision.HeaderNotAllowed},
		"a crit that is null":              {object{"crit": nil}, decision.HeaderNotAllowed},
		"b64 false with crit":              {object{"b64": false, "crit": []string{"b64"}}, decision.HeaderNotAllowed},
		"b64 false without crit":           {object{"b64": false}, decision.HeaderNotAllowed},
		"zip":                              {object{"zip": "DEF"}, decision.HeaderNotAllowed},
		"cty JWT, a JWS in a JWS":          {object{"cty": "JWT"}, decision.WrongType},
		"cty application/jwt":              {object{"cty": "application/jwt"}, decision.WrongType},
		"a cty that is a number":           {object{"cty": 1}, decision.Malformed},
		"a typ that is a number":           {object{"typ": 1}, decision.Malformed},
		"members nobody knows":             {object{"x": object{"y": []any{1, nil}}, "x5t": "abc", "nonce": "n"}, ""},
		"an ID token":                      {object{"typ": "id_token"}, decision.WrongType},
		"a logout token":                   {object{"typ": "logout+jwt"}, decision.WrongType},
		"a logout token in other case":     {object{"typ": "Logout+JWT"}, decision.WrongType},
		"a logout token, long form":        {object{"typ": "application/logout+jwt"}, decision.WrongType},
		"a security event":                 {object{"typ": "secevent+jwt"}, decision.WrongType},
		"a DPoP proof":                     {object{"typ": "dpop+jwt"}, decision.WrongType},
		"a key-binding JWT":                {object{"typ": "kb+jwt"}, decision.WrongType},
		"an entity statement":              {object{"typ": "entity-statement+jwt"}, decision.WrongType},
		"a client assertion":               {object{"typ": "client-authentication+jwt"}, decision.WrongType},
		"an access token":                  {object{"typ": "at+jwt"}, ""},
		"an access token in the long form": {object{"typ": "application/at+jwt"}, ""},
		"a JWT":                            {object{"typ": "JWT"}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := sign("RS256", k.rsa, with(object{"alg": "RS256", "kid": "rsa"}, tc.header), claims())
			if _, got := verify(v, raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestListedTypes(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(func(i *policy.Issuer) { i.Types = []string{"AT+jwt", "application/logout+jwt"} })})
	for typ, want := range map[string]decision.Reason{
		"at+jwt": "", "application/AT+JWT": "", "logout+jwt": "", "JWT": decision.WrongType, "": decision.WrongType, gone: decision.WrongType,
		"at+jwt ": decision.WrongType,
	} {
		raw := sign("RS256", k.rsa, with(object{"alg": "RS256", "kid": "rsa"}, object{"typ": typ}), claims())
		if _, got := verify(v, raw); got != want {
			t.Errorf("typ %q: got %q, want %q", typ, got, want)
		}
	}
}

func TestSignatureAttacks(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	// forge puts another signature on a good token.
	forge := func(alg, kid string, sig func(input string) []byte) string {
		input := enc64(text(object{"alg": alg, "kid": kid})) + "." + enc64(text(claims()))
		return input + "." + b64(sig(input))
	}
	constant := func(b []byte) func(string) []byte { return func(string) []byte { return b } }
	size := func(n int) []byte { return make([]byte, n) }
	n := k.p256.Params().N
	ps := func(hash crypto.Hash, salt int) func(string) []byte {
		return func(input string) []byte {
			h := hash.New()
			h.Write([]byte(input))
			sig, _ := rsa.SignPSS(rand.Reader, k.rsa, hash, h.Sum(nil), &rsa.PSSOptions{SaltLength: salt})
			return sig
		}
	}
	tests := map[string]string{
		"r and s zero":      forge("ES256", "p256", constant(size(64))),
		"r zero":            forge("ES256", "p256", constant(append(size(32), n.Bytes()...))),
		"r and s the order": forge("ES256", "p256", constant(append(n.Bytes(), n.Bytes()...))),
		"r and s one":       forge("ES256", "p256", constant(append(append(size(31), 1), append(size(31), 1)...))),
		"DER instead of raw": forge("ES256", "p256", func(in string) []byte {
			h := sha256.Sum256([]byte(in))
			s, _ := ecdsa.SignASN1(rand.Reader, k.p256, h[:])
			return s
		}),
		"one byte short":               forge("ES256", "p256", func(in string) []byte { return signature("ES256", k.p256, in)[:63] }),
		"one byte long":                forge("ES256", "p256", func(in string) []byte { return append(signature("ES256", k.p256, in), 0) }),
		"leading zero bytes":           forge("ES256", "p256", func(in string) []byte { return append([]byte{0, 0}, signature("ES256", k.p256, in)...) }),
		"ES512 of 131 bytes":           forge("ES512", "p521", func(in string) []byte { return signature("ES512", k.p521, in)[1:] }),
		"Ed25519 with a trailing byte": forge("EdDSA", "ed", func(in string) []byte { return append(signature("EdDSA", k.ed, in), 0) }),
		"Ed25519 s plus the order":     forge("EdDSA", "ed", func(in string) []byte { return addOrder(signature("EdDSA", k.ed, in)) }),
		"Ed25519 of zeros":             forge("EdDSA", "ed", constant(size(64))),
		"RSA of zeros":                 forge("RS256", "rsa", constant(size(256))),
		"RSA with a leading zero":      forge("RS256", "rsa", func(in string) []byte { return append([]byte{0}, signature("RS256", k.rsa, in)...) }),
		"RSA plus the modulus": forge("RS256", "rsa", func(in string) []byte {
			return new(big.Int).Add(new(big.Int).SetBytes(signature("RS256", k.rsa, in)), k.rsa.N).Bytes()
		}),
		"PSS without salt":            forge("PS256", "rsa", ps(crypto.SHA256, 0)),
		"PSS with the longest salt":   forge("PS256", "rsa", ps(crypto.SHA256, rsa.PSSSaltLengthAuto)),
		"PSS with a salt of 20 bytes": forge("PS256", "rsa", ps(crypto.SHA256, 20)),
		"PSS with another hash":       forge("PS256", "rsa", ps(crypto.SHA512, 32)),
		"one byte":                    forge("RS256", "rsa", constant([]byte{1})),
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, got := verify(v, raw); got != decision.BadSignature {
				t.Errorf("got %q, want BadSignature", got)
			}
		})
	}
	if _, got := verify(v, forge("PS512", "rsa", ps(crypto.SHA512, sha512.Size))); got != "" {
		t.Errorf("PSS with a salt as long as the hash: got %q", got)
	}
}

// addOrder makes the other spelling of an Ed25519 signature, s + L, which RFC 8032 section 5.1.7 refuses.
func addOrder(sig []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := new(big.Int)
	for i := 63; i >= 32; i-- {
		s.Lsh(s, 8).Or(s, big.NewInt(int64(sig[i])))
	}
	s.Add(s, order)
	for i, b := range s.FillBytes(make([]byte, 32)) {
		sig[63-i] = b
	}
	return sig
}

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
