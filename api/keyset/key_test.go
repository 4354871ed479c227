package keyset

import "testing"

func TestSame(t *testing.T) {
	t.Parallel()
	k := keys()
	one := func(use Use, jwk object) Key {
		s, err := Parse([]byte(text(jwk)), use)
		if err != nil {
			t.Fatal(err)
		}
		return s.Keys()[0]
	}
	// Every kind of key, each of its own material.
	kinds := func() map[string]Key {
		return map[string]Key{
			"RSA":                 one(Public, public(k.rsa)),
			"another RSA":         one(Public, public(k.rsa2)),
			"RSA with exponent 3": one(Public, with(public(k.rsa), object{"e": "Aw"})),
			"P-256":               one(Public, public(k.p256)),
			"P-521":               one(Public, public(k.p521)),
			"secp256k1":           one(Public, public(k.k1)),
			"Ed25519":             one(Public, public(k.ed)),
			"a secret":            one(Verify, public(k.secret)),
			"half of the secret":  one(Verify, public(k.secret[:32])),
			"an RSA private key":  one(Decrypt, private(k.rsa)),
			"a P-256 private key": one(Decrypt, private(k.p256)),
			"an X25519 key":       one(Decrypt, private(k.x25519)),
			"no key":              {},
		}
	}
	again := kinds()
	for a, key := range kinds() {
		for b, other := range again {
			if got, want := key.Same(other), a == b && a != "no key"; got != want {
				t.Errorf("%s and %s: got %v, want %v", a, b, got, want)
			}
		}
	}
	if !one(Public, with(public(k.rsa), object{"kid": "a", "alg": "RS256"})).Same(one(Public, with(public(k.rsa), object{"kid": "b"}))) {
		t.Error("kid and alg make a difference")
	}
}
