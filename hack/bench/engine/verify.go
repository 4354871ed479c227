package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/mint"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// verification prints what a first-seen token costs, by algorithm.
func verification(out io.Writer) error {
	fmt.Fprintln(out, "A token seen for the first time, us:\tbytes\traw crypto\tours\tgolang-jwt\tjwx jwt.Parse\tours/raw\ttarget\t")
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA", "HS256"} {
		k, err := newKey(alg)
		if err != nil {
			return err
		}
		signed, err := k.token(time.Now(), alg)
		if err != nil {
			return err
		}
		check, err := ours(alg, k.jwks, nil, signed)
		if err != nil {
			return err
		}
		if err := row(out, alg, signed, []call{bare(alg, k, signed), check, golangJWT(alg, k, signed), jwx(alg, k, signed)}); err != nil {
			return err
		}
	}
	return nested(out)
}

// nested prints the row of a signed token inside an encrypted one.
func nested(out io.Writer) error {
	const alg, wrap = "RS256", "RSA-OAEP-256"
	signing, err := newKey(alg)
	if err != nil {
		return err
	}
	opening, err := newKey(wrap)
	if err != nil {
		return err
	}
	inner, err := signing.token(time.Now(), alg)
	if err != nil {
		return err
	}
	outer, err := mint.Encrypt([]byte(inner), opening.keys, mint.EncryptOptions{Header: map[string]any{"cty": "JWT"}})
	if err != nil {
		return err
	}
	private, err := opening.keys.JWKS()
	if err != nil {
		return err
	}
	check, err := ours(alg, signing.jwks, private, outer)
	if err != nil {
		return err
	}
	verifyInner, decrypt := bare(alg, signing, inner), bareDecrypt(opening, outer)
	raw := func() error { return errors.Join(decrypt(), verifyInner()) }
	both := func() error {
		text, err := jwe.Decrypt([]byte(outer), jwe.WithKey(jwa.RSA_OAEP_256, opening.private))
		if err != nil {
			return err
		}
		return jwx(alg, signing, string(text))()
	}
	return row(out, "RSA-OAEP-256(RS256)", outer, []call{raw, check, nil, both})
}

// call is one verification.
type call func() error

// row measures raw crypto, ours, golang-jwt and jwx, in this order; nil leaves one out.
func row(out io.Writer, name, signed string, calls []call) error {
	functions := make([]func(), len(calls))
	for i, c := range calls {
		if c == nil {
			continue
		}
		if err := c(); err != nil {
			return fmt.Errorf("%s: contender %d: %w", name, i, err)
		}
		functions[i] = func() { _ = c() }
	}
	ns := fastest(functions...)
	ratio, aim := ns[1]/ns[0], ""
	switch name {
	case "RS256", "ES256", "EdDSA":
		aim = target("<= 1.25", ratio <= 1.25)
	}
	fmt.Fprintf(out, "%s\t%d\t%s\t%s\t%s\t%s\t%.2f\t%s\t\n", name, len(signed), us(ns[0]), us(ns[1]), us(ns[2]), us(ns[3]), ratio, aim)
	return nil
}

func us(ns float64) string {
	if math.IsNaN(ns) {
		return "-"
	}
	return fmt.Sprintf("%.1f", ns/1000)
}

// ours is the engine as the gate calls it: the strict front, the signature and all claims.
func ours(alg string, jwks, decryption []byte, signed string) (call, error) {
	spec := policy.Issuer{Issuer: issuerURL, Audiences: []string{audience}, Algorithms: []policy.Algorithm{policy.Algorithm(alg)}}
	keys, err := keyset.Parse(jwks, keyset.Verify)
	if err != nil {
		return nil, err
	}
	c := token.Config{Issuer: spec, Keys: keys}
	if decryption != nil {
		c.Issuer.Decryption = &policy.Decryption{}
		if c.Decryption, err = keyset.Parse(decryption, keyset.Decrypt); err != nil {
			return nil, err
		}
	}
	v, err := token.NewVerifier(c)
	if err != nil {
		return nil, err
	}
	return func() error {
		t, no := token.Parse(signed)
		if !no.Refused() {
			_, no = v.Verify(t, time.Now())
		}
		if no.Refused() {
			return errors.New(string(no.Reason))
		}
		return nil
	}, nil
}

func golangJWT(alg string, k key, signed string) call {
	p := gojwt.NewParser(gojwt.WithValidMethods([]string{alg}), gojwt.WithIssuer(issuerURL), gojwt.WithAudience(audience),
		gojwt.WithExpirationRequired(), gojwt.WithIssuedAt())
	find := func(*gojwt.Token) (any, error) {
		if k.public == nil {
			return nil, errBare
		}
		return k.public, nil
	}
	return func() error {
		_, err := p.Parse(signed, find)
		return err
	}
}

func jwx(alg string, k key, signed string) call {
	text := []byte(signed)
	return func() error {
		_, err := jwt.Parse(text, jwt.WithKey(jwa.SignatureAlgorithm(alg), k.public), jwt.WithIssuer(issuerURL), jwt.WithAudience(audience))
		return err
	}
}
