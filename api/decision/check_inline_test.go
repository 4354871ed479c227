package decision_test

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestInlineKeys(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ jwks, says string }{ // says nothing: taken
		"a set":                            {`{"keys": [{"kty": "RSA"}]}`, ""},
		"one key":                          {`{"kty": "RSA"}`, ""},
		"a list of keys":                   {`[{"kty": "RSA"}]`, ""},
		"a set after a byte order mark":    {"\ufeff" + `{"keys": [{"kty": "RSA"}]}`, ""},
		"private members that are nothing": {`{"keys": [{"kty": "RSA", "d": null, "p": "", "oth": []}]}`, ""},
		"a key that is no object":          {`{"keys": [7, {"kty": "RSA"}]}`, ""},
		"a key whose kty is none":          {`{"keys": [{"kty": 7}]}`, ""},
		"more keys than are kept":          {`{"keys": [` + strings.Repeat(`{"kty": "RSA"},`, 1000) + `{"kty": "RSA"}]}`, ""},
		"a private key":                    {`{"keys": [{"kty": "RSA"}, {"kty": "RSA", "d": "AQAB"}]}`, "keys[1] is private or symmetric"},
		"a private member of an odd kind":  {`{"keys": [{"kty": "RSA", "d": 7}]}`, "keys[0] is private or symmetric"},
		"a prime alone":                    {`{"keys": [{"kty": "RSA", "p": "AQAB"}]}`, "keys[0] is private or symmetric"},
		"a private key by itself":          {`{"kty": "EC", "d": "AQAB"}`, "keys[0] is private or symmetric"},
		"a private key in a list":          {`[{"kty": "EC", "d": "AQAB"}]`, "keys[0] is private or symmetric"},
		"a secret without its value":       {`{"keys": [{"kty": "oct", "k": null}]}`, "keys[0] is private or symmetric"},
		"an empty set":                     {`{"keys": []}`, "has 0 keys"},
		"an empty list":                    {`[]`, "has 0 keys"},
		"an object of something else":      {`{"a": 1}`, "has 0 keys"},
		"keys that is none":                {`{"keys": 7}`, "is no JSON object of keys"},
		"PEM":                              {"-----BEGIN PUBLIC KEY-----", "is no JSON object of keys"},
	}
	for name, tc := range tests {
		p := parse(t, "shop/p", "issuers: [{name: a, issuer: x, audiences: [o], keys: {kubernetes: {}}}]")
		p.Spec.Issuers[0].Keys.Kubernetes, p.Spec.Issuers[0].Keys.JWKS = nil, tc.jwks
		_, err := decision.Compile([]decision.Policy{p})
		if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), "spec.issuers[0].keys.jwks: "+tc.says)) {
			t.Errorf("%s: %v; want %q", name, err, tc.says)
		}
	}
}
