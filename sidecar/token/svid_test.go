package token

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// svids makes an issuer one of JWT-SVIDs.
func svids(i *policy.Issuer) {
	i.Issuer, i.Keys = "", policy.KeySource{SPIFFE: &policy.SPIFFE{TrustDomain: "example.org", BundleURL: "https://example.org/bundle"}}
}

// TestSVID holds tokens against the rules of JWT-SVIDs (JWT-SVID, appendix A).
func TestSVID(t *testing.T) {
	t.Parallel()
	k := keys()
	token := func(alg string, key any, header, payload object) string {
		return sign(alg, key, with(object{"alg": alg, "kid": "rsa"}, header),
			with(with(claims(), object{"iss": gone, "sub": "spiffe://example.org/ns/shop/sa/cart"}), payload))
	}
	rs := func(header, payload object) string { return token("RS256", k.rsa, header, payload) }
	sub := func(s any) string { return rs(nil, object{"sub": s}) }
	tests := map[string]struct {
		raw  string
		want decision.Reason
	}{
		"a JWT-SVID":                     {rs(nil, nil), ""},
		"with iss":                       {rs(nil, object{"iss": "https://spire.example.org"}), ""},
		"typ JWT":                        {rs(object{"typ": "JWT"}, nil), ""},
		"typ JOSE":                       {rs(object{"typ": "jose"}, nil), ""},
		"typ of an access token":         {rs(object{"typ": "at+jwt"}, nil), decision.WrongType},
		"typ of an ID token":             {rs(object{"typ": "id_token"}, nil), decision.WrongType},
		"ES384":                          {token("ES384", k.p384, object{"kid": "p384"}, nil), ""},
		"PS512":                          {token("PS512", k.rsa, nil, nil), ""},
		"EdDSA is none of theirs":        {token("EdDSA", k.ed, object{"kid": "ed"}, nil), decision.AlgorithmNotAllowed},
		"HMAC is none of theirs":         {token("HS256", k.secret, object{"kid": "secret"}, nil), decision.AlgorithmNotAllowed},
		"no exp":                         {rs(nil, object{"exp": gone}), decision.MissingClaim},
		"expired":                        {rs(nil, object{"exp": now.Unix() - 60}), decision.Expired},
		"no aud":                         {rs(nil, object{"aud": gone}), decision.WrongAudience},
		"another aud":                    {rs(nil, object{"aud": "other"}), decision.WrongAudience},
		"the trust domain itself":        {sub("spiffe://example.org"), ""},
		"a path with a slash at its end": {sub("spiffe://example.org/a/"), decision.BadClaim},
		"a path that climbs":             {sub("spiffe://example.org/a/../b"), decision.BadClaim},
		"a path with an escape":          {sub("spiffe://example.org/%61"), decision.BadClaim},
		"a query":                        {sub("spiffe://example.org/a?b"), decision.BadClaim},
		"an ID that is too long":         {sub("spiffe://example.org/" + strings.Repeat("a", 2048)), decision.BadClaim},
		"another trust domain":           {sub("spiffe://example.com/a"), decision.UnknownIssuer},
		"a trust domain that begins so":  {sub("spiffe://example.org.evil/a"), decision.UnknownIssuer},
		"a trust domain with a port":     {sub("spiffe://example.org:443/a"), decision.UnknownIssuer},
		"a trust domain in upper case":   {sub("spiffe://Example.org/a"), decision.UnknownIssuer},
		"a scheme in upper case":         {sub("SPIFFE://example.org/a"), decision.UnknownIssuer},
		"no sub":                         {sub(gone), decision.UnknownIssuer},
		"a person":                       {sub("alice"), decision.UnknownIssuer},
		"a sub that is a list":           {sub([]string{"spiffe://example.org/a"}), decision.BadClaim},
		"signed by another key":          {token("RS256", k.rsa2, nil, nil), decision.BadSignature},
		"bound to a key":                 {rs(nil, object{"cnf": object{"jkt": "x"}}), decision.KeyBound},
	}
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(svids)})
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, no := Parse(tc.raw)
			if got := no.Reason; no.Refused() {
				if got != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
				return
			}
			if !v.Wants(parsed) {
				if tc.want != decision.UnknownIssuer {
					t.Errorf("the verifier does not want the token; %q is expected", tc.want)
				}
				return
			}
			out, no := v.Verify(parsed, now)
			if no.Reason != tc.want {
				t.Errorf("got %q, want %q", no.Reason, tc.want)
			}
			if name == "a JWT-SVID" && (out.Issuer != "spiffe://example.org" || out.Subject != "spiffe://example.org/ns/shop/sa/cart") {
				t.Errorf("verified %+v", out)
			}
		})
	}
	named := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(func(i *policy.Issuer) { svids(i); i.Issuer = "https://spire.example.org" })})
	for iss, want := range map[string]bool{"https://spire.example.org": true, "https://other.example.org": false, gone: false} {
		parsed, _ := Parse(rs(nil, object{"iss": iss}))
		if named.Wants(parsed) != want {
			t.Errorf("with issuer given, iss %q is wanted: %v", iss, !want)
		}
	}
}
