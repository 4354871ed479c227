package refuse

import (
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestChallengesWithTheSchemeDPoP(t *testing.T) {
	t.Parallel()
	plain, came, only := DPoP{Algorithms: "ES256 PS256"}, DPoP{Algorithms: "ES256 PS256", Came: true}, DPoP{Algorithms: "ES256 PS256", Only: true}
	const algs = `algs="ES256 PS256"`
	tests := map[string]struct {
		reason    decision.Reason
		challenge Challenge
		want      []string
	}{
		"no token": {decision.NoToken, Challenge{DPoP: &plain}, []string{"Bearer", "DPoP " + algs}},
		"no token where none is taken as a bearer": {decision.NoToken, Challenge{DPoP: &only}, []string{"DPoP " + algs}},
		"a bad bearer token": {decision.Expired, Challenge{DPoP: &plain},
			[]string{`Bearer error="invalid_token", error_description="the token has expired"`, "DPoP " + algs}},
		"a bound token as a bearer": {decision.BoundAsBearer, Challenge{DPoP: &plain},
			[]string{`Bearer error="invalid_token", error_description="the token is bound to a key and is not taken as a bearer token"`, "DPoP " + algs}},
		"a bad token under the scheme": {decision.Expired, Challenge{DPoP: &came},
			[]string{`DPoP error="invalid_token", error_description="the token has expired", ` + algs, "Bearer"}},
		"a bad proof": {decision.BadProof, Challenge{DPoP: &came},
			[]string{`DPoP error="invalid_dpop_proof", error_description="the DPoP proof is missing or not valid", ` + algs, "Bearer"}},
		"a nonce that is missing": {decision.UseNonce, Challenge{DPoP: &came},
			[]string{`DPoP error="use_dpop_nonce", error_description="the DPoP proof needs the nonce that this answer has", ` + algs, "Bearer"}},
		"a bearer token where none is taken": {decision.NotBound, Challenge{DPoP: &only},
			[]string{`DPoP error="invalid_token", error_description="the token is not bound to a key", ` + algs}},
		"a scope that is missing": {decision.InsufficientScope, Challenge{DPoP: &came, Scopes: []string{"a"}},
			[]string{`DPoP error="insufficient_scope", error_description="the token lacks a scope that the request needs", scope="a", ` + algs}},
		"a scope that a bearer token lacks": {decision.InsufficientScope, Challenge{DPoP: &plain, Scopes: []string{"a"}},
			[]string{`Bearer error="insufficient_scope", error_description="the token lacks a scope that the request needs", scope="a"`}},
		"a resource": {decision.NoToken, Challenge{DPoP: &plain, ResourceMetadata: "https://a/m", Scopes: []string{"a"}},
			[]string{`Bearer scope="a", resource_metadata="https://a/m"`, `DPoP scope="a", resource_metadata="https://a/m", ` + algs}},
		"a deny rule": {decision.DeniedByRule, Challenge{DPoP: &plain}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, form := range []Form{HTTP, GRPC} {
				rec := httptest.NewRecorder()
				rec.Header().Set("Www-Authenticate", "of somebody else")
				if tt.want == nil {
					rec.Header().Del("Www-Authenticate")
				}
				Render(Cause{Reason: tt.reason, Challenge: &tt.challenge}, form).Write(rec)
				if diff := cmp.Diff(tt.want, rec.Header().Values("Www-Authenticate")); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
