package main

import (
	"bytes"
	"crypto/rsa"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/mint"
)

const (
	issuerURL = "https://login.example.com"
	audience  = "orders"
)

// key is a key pair or a secret in all the forms that contenders want.
type key struct {
	keys    mint.Keys
	private any // of crypto/*; []byte for a secret
	public  any
	jwks    []byte // what verifies
}

func newKey(alg string) (key, error) {
	keys, err := mint.NewKey(mint.KeyOptions{Algorithm: alg})
	if err != nil {
		return key{}, err
	}
	k := key{keys: keys}
	all, err := keys.JWKS()
	if err != nil {
		return key{}, err
	}
	if k.private, err = raw(all); err != nil {
		return key{}, err
	}
	switch private := k.private.(type) {
	case []byte:
		k.public, k.jwks = private, all
		return k, nil
	case *rsa.PrivateKey:
		private.Precompute() // as an application would
	}
	public, err := keys.Public()
	if err != nil {
		return key{}, err
	}
	if k.jwks, err = public.JWKS(); err != nil {
		return key{}, err
	}
	k.public, err = raw(k.jwks)
	return k, err
}

// raw returns the first key of a set as crypto/* has it.
func raw(jwks []byte) (any, error) {
	set, err := jwk.ParseReader(bytes.NewReader(jwks))
	if err != nil {
		return nil, err
	}
	first, ok := set.Key(0)
	if !ok {
		return nil, fmt.Errorf("the key set is empty")
	}
	var out any
	err = first.Raw(&out)
	return out, err
}

// claims are those of an access token of an everyday identity provider; the token has about 800 bytes.
func claims(now time.Time) map[string]any {
	return map[string]any{
		"iss": issuerURL, "aud": audience, "sub": "f:8d1f6a34-1d1c-4bb5:alice", "azp": "web",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "0f7c2a3e-90c8-4d3e-b9d5-6f3a7c1f2d11", "sid": "08a5019c-17e1-4977",
		"scope": "openid profile email orders.read", "email": "alice@example.com", "preferred_username": "alice",
		"realm_access": map[string]any{"roles": []string{"reader", "offline_access", "uma_authorization"}},
	}
}

func (k key) token(now time.Time, alg string) (string, error) { return k.tokenWith(now, alg, nil) }

// tokenWith is a token with this claim cnf; nil: none.
func (k key) tokenWith(now time.Time, alg string, cnf map[string]any) (string, error) {
	all := claims(now)
	if cnf != nil {
		all["cnf"] = cnf
	}
	payload, err := mint.Encode(all)
	if err != nil {
		return "", err
	}
	return mint.Sign(payload, k.keys, mint.SignOptions{Algorithm: alg})
}
