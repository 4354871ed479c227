package token

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestHeaderMembers gives headers that bring a key, must be understood, or say that the token is something else.
func TestHeaderMembers(t *testing.T) {
	t.Parallel()
	k := keys()
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	tests := map[string]struct {
		header object
		want   decision.Reason
	}{
		"an embedded key":                     {object{"jwk": public(k.rsa2, "", "")}, decision.HeaderNotAllowed},
		"an embedded key that is null":        {object{"jwk": nil}, decision.HeaderNotAllowed},
		"jku and a key of its own":            {object{"jku": "https://evil.example/jwks", "jwk": public(k.rsa2, "", "")}, decision.HeaderNotAllowed},
		"jku that is critical":                {object{"jku": "https://evil.example/jwks", "crit": []string{"jku"}}, decision.HeaderNotAllowed},
		"an unknown crit":                     {object{"crit": []string{"exp"}, "exp": 1}, decision.HeaderNotAllowed},
		"an empty crit":                       {object{"crit": []string{}}, decision.HeaderNotAllowed},
		"a crit naming an absent header":      {object{"crit": []string{"absent"}}, decision.HeaderNotAllowed},
		"a crit of a registered name":         {object{"crit": []string{"alg"}}, decision.HeaderNotAllowed},
		"a crit that is null":                 {object{"crit": nil}, decision.HeaderNotAllowed},
		"b64 false with crit":                 {object{"b64": false, "crit": []string{"b64"}}, decision.HeaderNotAllowed},
		"b64 false without crit":              {object{"b64": false}, decision.HeaderNotAllowed},
		"zip":                                 {object{"zip": "DEF"}, decision.HeaderNotAllowed},
		"cty JWT, a JWS in a JWS":             {object{"cty": "JWT"}, decision.WrongType},
		"cty application/jwt":                 {object{"cty": "application/jwt"}, decision.WrongType},
		"cty at+jwt, which is said of itself": {object{"cty": "at+jwt"}, ""},
		"a cty that is a number":              {object{"cty": 1}, decision.Malformed},
		"a typ that is a number":              {object{"typ": 1}, decision.Malformed},
		"members nobody knows":                {object{"x": object{"y": []any{1, nil}}, "x5t": "abc", "nonce": "n"}, ""},
		"an ID token":                         {object{"typ": "id_token"}, decision.WrongType},
		"a logout token":                      {object{"typ": "logout+jwt"}, decision.WrongType},
		"a logout token in other case":        {object{"typ": "Logout+JWT"}, decision.WrongType},
		"a logout token, long form":           {object{"typ": "application/logout+jwt"}, decision.WrongType},
		"a security event":                    {object{"typ": "secevent+jwt"}, decision.WrongType},
		"a DPoP proof":                        {object{"typ": "dpop+jwt"}, decision.WrongType},
		"a key-binding JWT":                   {object{"typ": "kb+jwt"}, decision.WrongType},
		"an entity statement":                 {object{"typ": "entity-statement+jwt"}, decision.WrongType},
		"a client assertion":                  {object{"typ": "client-authentication+jwt"}, decision.WrongType},
		"an access token":                     {object{"typ": "at+jwt"}, ""},
		"an access token in the long form":    {object{"typ": "application/at+jwt"}, ""},
		"a JWT":                               {object{"typ": "JWT"}, ""},
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
