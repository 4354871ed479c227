package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"
)

// claimFlags are the flags of "token" that make the claims.
type claimFlags struct {
	iss, sub, jti                  string
	aud, scope, set, without       []string
	issuedAt, expiresIn, notBefore time.Duration // from now
	notBeforeSet                   bool
	cnf                            map[string]any // empty: the token is bound to nothing
}

// build makes the claims set (RFC 7519 section 4). --claim has the last word, but for --without.
func (f claimFlags) build(now time.Time) (map[string]any, error) {
	claims := map[string]any{
		"iat": now.Add(f.issuedAt).Unix(),
		"exp": now.Add(f.expiresIn).Unix(),
		"jti": f.jti,
	}
	if f.jti == "" {
		claims["jti"] = rand.Text()
	}
	if f.notBeforeSet {
		claims["nbf"] = now.Add(f.notBefore).Unix()
	}
	if f.iss != "" {
		claims["iss"] = f.iss
	}
	if f.sub != "" {
		claims["sub"] = f.sub
	}
	switch len(f.aud) {
	case 0:
	case 1:
		claims["aud"] = f.aud[0] // RFC 7519 section 4.1.3 allows a single audience as a string
	default:
		claims["aud"] = f.aud
	}
	if len(f.scope) > 0 {
		claims["scope"] = strings.Join(f.scope, " ")
	}
	if len(f.cnf) > 0 {
		claims["cnf"] = f.cnf
	}
	return claims, change("token", claims, f.set, f.without)
}

// change sets the claims of --claim in what is made, and takes out those of --without.
func change(made string, claims map[string]any, pairs, without []string) error {
	set, err := members(pairs)
	if err != nil {
		return fmt.Errorf("--claim %w", err)
	}
	maps.Copy(claims, set)
	for _, name := range without {
		if _, ok := claims[name]; !ok {
			return fmt.Errorf("--without %s: the %s has no such claim", name, made)
		}
		delete(claims, name)
	}
	return nil
}

// members reads name=value pairs; a value is JSON where it is JSON, and text where it is not.
func members(pairs []string) (map[string]any, error) {
	out := map[string]any{}
	for _, pair := range pairs {
		name, text, err := splitPair(pair)
		if err != nil {
			return nil, err
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("%s: is given twice", name)
		}
		value, err := readValue(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = value
	}
	return out, nil
}

// readValue reads JSON or text. Text that begins as a JSON list, object or string does is a mistake, not text.
func readValue(text string) (any, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var value any
	err := d.Decode(&value)
	if err == nil {
		if _, more := d.Token(); errors.Is(more, io.EOF) {
			return value, nil
		}
	}
	if text != "" && strings.ContainsRune(`[{"`, rune(text[0])) {
		return nil, errors.New("looks like JSON but is not; want JSON or plain text")
	}
	return text, nil
}
