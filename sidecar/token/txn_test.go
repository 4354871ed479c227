package token

import (
	"net/http"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// TestProfileTransactionToken runs tokens past a verifier of transaction tokens (draft-ietf-oauth-transaction-tokens, the editors' copy of 2026-07-06).
func TestProfileTransactionToken(t *testing.T) {
	t.Parallel()
	k := keys()
	token := func(header, payload object) string {
		return sign("RS256", k.rsa, with(object{"alg": "RS256", "kid": "rsa", "typ": "txntoken+jwt"}, header),
			with(with(claims(), object{"iss": gone, "jti": gone, "txn": "97053963", "scope": "trade.stocks", "req_wl": "apigateway.trust-domain.example"}), payload))
	}
	tests := map[string]struct {
		raw  string
		want decision.Reason
	}{
		"a transaction token":        {token(nil, nil), ""},
		"with contexts":              {token(nil, object{"tctx": object{"action": "BUY"}, "rctx": object{"req_ip": "192.0.2.1"}}), ""},
		"with iss":                   {token(nil, object{"iss": "https://txn.example.com"}), ""},
		"typ in the long form":       {token(object{"typ": "application/txntoken+jwt"}, nil), ""},
		"an access token":            {token(object{"typ": "at+jwt"}, nil), decision.WrongType},
		"no typ":                     {token(object{"typ": gone}, nil), decision.WrongType},
		"no exp":                     {token(nil, object{"exp": gone}), decision.MissingClaim},
		"no iat":                     {token(nil, object{"iat": gone}), decision.MissingClaim},
		"no aud":                     {token(nil, object{"aud": gone}), decision.WrongAudience},
		"no txn":                     {token(nil, object{"txn": gone}), decision.MissingClaim},
		"no req_wl":                  {token(nil, object{"req_wl": gone}), decision.MissingClaim},
		"a list of req_wl":           {token(nil, object{"req_wl": []any{"a", "b"}}), decision.BadClaim},
		"no sub":                     {token(nil, object{"sub": gone}), decision.MissingClaim},
		"no scope":                   {token(nil, object{"scope": gone}), decision.MissingClaim},
		"an empty txn":               {token(nil, object{"txn": ""}), decision.BadClaim},
		"a txn that is a number":     {token(nil, object{"txn": 7}), decision.BadClaim},
		"a scope that is a list":     {token(nil, object{"scope": []string{"a"}}), decision.BadClaim},
		"a context that is a string": {token(nil, object{"tctx": "BUY"}), decision.BadClaim},
		"a context that is null":     {token(nil, object{"rctx": nil}), decision.BadClaim},
	}
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(func(i *policy.Issuer) {
		i.Issuer, i.AnyIssuer, i.Profile = "", true, policy.ProfileTransactionToken
	})})
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, got := verify(v, tc.raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	ordinary := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(func(i *policy.Issuer) { i.Issuer, i.AnyIssuer = "", true })})
	if _, got := verify(ordinary, token(nil, nil)); got != decision.WrongType {
		t.Errorf("an issuer without the profile says %q of a transaction token", got)
	}
}

// Transaction tokens are in a header of their own, and one request has one token (RFC 6750 section 2).
func TestWhereTransactionTokensAre(t *testing.T) {
	t.Parallel()
	txn, ordinary := policy.Issuer{Profile: policy.ProfileTransactionToken}, policy.Issuer{}
	alone, both := NewLocator([]policy.Issuer{txn}), NewLocator([]policy.Issuer{ordinary, txn})
	for name, tt := range map[string]struct {
		locator *Locator
		header  http.Header
		raw     string
		takers  decision.IssuerSet
		want    decision.Reason
	}{
		"in its header":                       {alone, http.Header{"Txn-Token": {"a.b.c"}}, "a.b.c", 1, ""},
		"an ordinary token that nobody takes": {alone, http.Header{"Authorization": {"Bearer x.y.z"}}, "", 0, ""},
		"beside one that nobody takes":        {alone, http.Header{"Txn-Token": {"a.b.c"}, "Authorization": {"Bearer x.y.z"}}, "a.b.c", 1, ""},
		"twice":                               {alone, http.Header{"Txn-Token": {"a.b.c", "d.e.f"}}, "", 0, decision.TokenInTwoPlaces},
		"where both kinds are taken":          {both, http.Header{"Txn-Token": {"a.b.c"}}, "a.b.c", 2, ""},
		"an ordinary one there":               {both, http.Header{"Authorization": {"Bearer x.y.z"}}, "x.y.z", 1, ""},
		"both kinds at once":                  {both, http.Header{"Txn-Token": {"a.b.c"}, "Authorization": {"Bearer x.y.z"}}, "", 0, decision.TokenInTwoPlaces},
	} {
		found, no := tt.locator.Find(LocateRequest{Header: tt.header})
		if found.Raw != tt.raw || found.Takers != tt.takers || no.Reason != tt.want {
			t.Errorf("%s: %+v, %s", name, found, no.Reason)
		}
	}
}
