package token

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestProfileRFC9068 runs tokens past a verifier of JWT access tokens (RFC 9068 section 4), and past one without the
// profile, which takes all of those that are well-formed.
func TestProfileRFC9068(t *testing.T) {
	t.Parallel()
	k := keys()
	preset := func(i *policy.Issuer) { i.Profile = policy.ProfileRFC9068 }
	decrypts := func(i *policy.Issuer) { preset(i); decryption(false)(i) }
	token := func(header, payload object) string {
		return sign("RS256", k.rsa, with(object{"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}, header),
			with(with(claims(), object{"client_id": "shop"}), payload))
	}
	nested := func(header object, inner string) string {
		return seal("A256KW", "A256GCM", k.secret[:32], with(object{"cty": "JWT", "kid": "32"}, header), inner)
	}
	tests := map[string]struct {
		raw  string
		want decision.Reason
	}{
		"an access token":                {token(nil, nil), ""},
		"typ in the long form":           {token(object{"typ": "application/at+jwt"}, nil), ""},
		"typ in another case":            {token(object{"typ": "AT+JWT"}, nil), ""},
		"typ JWT":                        {token(object{"typ": "JWT"}, nil), decision.WrongType},
		"no typ":                         {token(object{"typ": gone}, nil), decision.WrongType},
		"alg none":                       {token(object{"alg": "none"}, nil), decision.Unsigned},
		"no iss":                         {token(nil, object{"iss": gone}), decision.UnknownIssuer},
		"no exp":                         {token(nil, object{"exp": gone}), decision.MissingClaim},
		"no aud":                         {token(nil, object{"aud": gone}), decision.WrongAudience},
		"no sub":                         {token(nil, object{"sub": gone}), decision.MissingClaim},
		"no client_id":                   {token(nil, object{"client_id": gone}), decision.MissingClaim},
		"no iat":                         {token(nil, object{"iat": gone}), decision.MissingClaim},
		"no jti":                         {token(nil, object{"jti": gone}), decision.MissingClaim},
		"an empty sub":                   {token(nil, object{"sub": ""}), decision.BadClaim},
		"a client_id that is a number":   {token(nil, object{"client_id": 7}), decision.BadClaim},
		"a client_id that is null":       {token(nil, object{"client_id": nil}), decision.BadClaim},
		"a client_id that is a list":     {token(nil, object{"client_id": []string{"shop"}}), decision.BadClaim},
		"a jti that is a number":         {token(nil, object{"jti": 1}), decision.BadClaim},
		"an iat that is a string":        {token(nil, object{"iat": "1"}), decision.BadClaim},
		"a nested access token":          {nested(nil, token(nil, nil)), ""},
		"a nested token of another type": {nested(object{"typ": "at+jwt"}, token(object{"typ": "JWT"}, nil)), decision.WrongType},
		"an access token bound to a key": {token(nil, object{"cnf": object{"jkt": "x"}}), decision.KeyBound},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, Config{Keys: signingKeys(t), Decryption: openingKeys(t), Issuer: issuer(decrypts)})
			if _, got := verify(v, tc.raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	open := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	if _, got := verify(open, token(object{"typ": gone}, object{"client_id": gone, "jti": gone, "sub": gone, "iat": gone})); got != "" {
		t.Errorf("without the profile: got %q", got)
	}
}

func TestProfileRFC9068ContradictsOtherFields(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(*policy.Issuer)
		want string
	}{
		"another type":    {func(i *policy.Issuer) { i.Types = []string{"JWT"} }, "types[0]: is not at+jwt"},
		"any issuer":      {func(i *policy.Issuer) { i.Issuer, i.AnyIssuer = "", true }, "anyIssuer: is true"},
		"any audience":    {func(i *policy.Issuer) { i.Audiences, i.AnyAudience = nil, true }, "anyAudience: is true"},
		"a missing exp":   {func(i *policy.Issuer) { i.AllowMissingExp = true }, "allowMissingExp: is true"},
		"no signature":    {decryption(true), "decryption.allowUnsigned: is true"},
		"another profile": {func(i *policy.Issuer) { i.Profile = "RFC7519" }, `profile: "RFC7519" is no profile`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := issuer(func(i *policy.Issuer) { i.Profile = policy.ProfileRFC9068; tc.edit(i) })
			if _, err := NewVerifier(Config{Issuer: i}); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
