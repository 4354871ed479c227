package token

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestNothingPrintsTokens runs good and bad tokens through everything, prints all that comes out except the claims
// that were asked for, and looks for what must not be there.
func TestNothingPrintsTokens(t *testing.T) {
	t.Parallel()
	k := keys()
	const canary = "canary-5f2b6a3e"
	payload := with(claims(), object{"sub": canary, "jti": canary, "sid": canary, "x": canary})
	head := object{"alg": "RS256", "kid": "rsa", "x": canary}
	good := sign("RS256", k.rsa, head, payload)
	raws := []string{
		good, tampered(good), good[:len(good)-3], good + "." + canary, canary, canary + "." + canary + "." + canary,
		sign("RS256", k.rsa, with(head, object{"alg": canary}), payload),
		sign("RS256", k.rsa, head, with(payload, object{"exp": canary})),
		sign("RS256", k.rsa, head, with(payload, object{"iss": canary})),
		sign("RS256", k.rsa, head, `{"`+canary+`":1,"`+canary+`":2}`),
		sign("RS256", k.rsa, with(head, object{"kid": canary}), payload),
		sign("RS256", k.rsa, with(head, object{"typ": canary}), payload),
		sign("RS256", k.rsa, with(head, object{"typ": object{canary: canary}}), payload),
		sign("RS256", k.rsa, with(head, object{"crit": []string{canary}}), payload),
		sign("RS256", k.rsa, with(head, object{"jwk": object{"k": canary}}), payload),
		sign("RS256", k.rsa, with(head, object{"x5c": []string{canary}, "jku": canary}), payload),
		sign("RS256", k.rsa, head, with(payload, object{"iss": "https://login.example.com/" + canary})),
		sign("RS256", k.rsa, head, with(payload, object{"aud": canary})),
		sign("RS256", k.rsa, head, with(payload, object{"aud": []any{canary, "orders/"}})),
		sign("RS256", k.rsa, head, with(payload, object{"aud": []any{object{canary: 1}}})),
		sign("RS256", k.rsa, head, with(payload, object{"sub": []any{canary}})),
		sign("RS256", k.rsa, head, with(payload, object{"cnf": object{canary: canary}})),
		sign("RS256", k.rsa, head, with(payload, object{"cnf": canary})),
		sealDirect(object{"kid": canary, "cty": "JWT"}, good),
		sealDirect(object{"kid": "32", "cty": canary}, good),
		sealDirect(object{"kid": "32", "cty": "JWT", "sub": "x" + canary}, good),
		sealDirect(object{"kid": "32", "cty": "JWT"}, canary),
		sealDirect(object{"kid": "32"}, `{"`+canary+`":1,"`+canary+`":2}`),
		sign("HS256", []byte(canary+canary), object{"alg": "HS256", "kid": "rsa"}, payload),
		seal("A256KW", "A256GCM", k.secret[:32], object{"cty": "JWT", "kid": "32"}, good),
		corrupt(seal("A256KW", "A256GCM", k.secret[:32], object{"cty": "JWT", "kid": "32"}, good), 3),
	}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(decryption(true))})
	for _, raw := range raws {
		tok, no := Parse(raw)
		fmt.Fprintf(&out, "%v %+v %#v %s %q %v\n", tok, tok, tok, tok, no.Reason, no.Cause)
		log.Info("token", "token", tok, "reason", no.Reason, "cause", no.Cause)
		if tok == nil {
			continue
		}
		_, no = v.Verify(tok, now)
		fmt.Fprintln(&out, no.Reason, no.Cause)
		panics(&out, func() { decryptWith(tok, k.secret[:32]) })
		panics(&out, func() { newScheme("ES256").verify(tok.jws.input, tok.jws.signature, &k.rsa.PublicKey) })
		panics(&out, func() { newScheme("RS256").verify(tok.jws.input, tok.jws.signature, nil) })
	}
	fmt.Fprintf(&out, "%+v %#v\n", v.keys.all, v.decryption.all)
	for _, i := range []policy.Issuer{
		issuer(func(i *policy.Issuer) { i.Algorithms = []policy.Algorithm{"none"} }),
		issuer(func(i *policy.Issuer) { i.RequiredClaims = []string{"a..b"} }),
		issuer(func(i *policy.Issuer) { i.Audiences, i.AnyAudience = []string{canary}, true }),
		issuer(func(i *policy.Issuer) { i.Profile, i.Types = policy.ProfileRFC9068, []string{canary} }),
		issuer(func(i *policy.Issuer) { i.ClockSkew = &policy.Duration{Duration: -1} }),
	} {
		_, err := NewVerifier(Config{Issuer: i, Keys: signingKeys(t)})
		fmt.Fprintln(&out, err)
	}
	for _, data := range []string{
		canary, `{"keys":[{"kty":"oct","k":"` + canary + `"}]}`, `{"keys":` + canary, `{"` + canary + `":1}`, `{"kty":"` + canary + `"}`,
		`{"kty":"EC","crv":"` + canary + `"}`, `{"kty":"oct","k":"` + canary + `","use":"` + canary + `","alg":"` + canary + `"}`,
		"-----BEGIN " + canary + "-----\n" + canary + "\n-----END " + canary + "-----\n",
		"-----BEGIN PRIVATE KEY-----\n" + enc64(canary) + "\n-----END PRIVATE KEY-----\n",
	} {
		for _, use := range []keyset.Use{keyset.Verify, keyset.Public, keyset.Decrypt} {
			_, err := keyset.Parse([]byte(data), use)
			fmt.Fprintln(&out, err)
		}
	}
	secrets := []string{canary, enc64(canary)[:16], string(k.secret[:8]), b64(k.secret)[:16], strings.Split(good, ".")[1][:24], strings.Split(good, ".")[2][:24]}
	for _, s := range secrets {
		if strings.Contains(out.String(), s) {
			t.Errorf("%q is printed", s)
		}
	}
}

// panics prints what f panics with, if it does.
func panics(out *bytes.Buffer, f func()) {
	defer func() { fmt.Fprintln(out, recover()) }()
	f()
}
