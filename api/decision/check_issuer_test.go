package decision_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestProfileConflicts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spec policy.Issuer
		want []string // the fields
	}{
		"no profile, everything else open": {policy.Issuer{AnyIssuer: true, AnyAudience: true, AllowMissingExp: true, Types: []string{"JWT"}}, nil},
		"the profile alone":                {policy.Issuer{Profile: policy.ProfileRFC9068}, nil},
		"the profile and its own type":     {policy.Issuer{Profile: policy.ProfileRFC9068, Types: []string{"AT+JWT", "application/at+jwt"}}, nil},
		"the profile and another type":     {policy.Issuer{Profile: policy.ProfileRFC9068, Types: []string{"at+jwt", "JWT"}}, []string{"types[1]"}},
		"the profile and any issuer":       {policy.Issuer{Profile: policy.ProfileRFC9068, AnyIssuer: true}, []string{"anyIssuer"}},
		"the profile and any audience":     {policy.Issuer{Profile: policy.ProfileRFC9068, AnyAudience: true}, []string{"anyAudience"}},
		"the profile and a missing exp":    {policy.Issuer{Profile: policy.ProfileRFC9068, AllowMissingExp: true}, []string{"allowMissingExp"}},
		"the profile and no signature": {policy.Issuer{Profile: policy.ProfileRFC9068, Decryption: &policy.Decryption{AllowUnsigned: true}},
			[]string{"decryption.allowUnsigned"}},
		"the profile and decryption": {policy.Issuer{Profile: policy.ProfileRFC9068, Decryption: &policy.Decryption{}}, nil},
		"a transaction token in the header of access tokens": {
			policy.Issuer{Profile: policy.ProfileTransactionToken, From: []policy.TokenLocation{{Header: "X-Txn"}, {Header: "authorization"}}},
			[]string{"from[1]"},
		},
		"an unknown profile": {policy.Issuer{Profile: "rfc9068"}, []string{"profile"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, c := range decision.ProfileConflicts(&tc.spec) {
				got = append(got, c.Field)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompileRefusesProfileConflicts(t *testing.T) {
	t.Parallel()
	const spec = "issuers: [{name: a, issuer: x, audiences: [o], keys: {kubernetes: {}}, profile: RFC9068, types: [JWT]}]"
	_, err := decision.Compile([]decision.Policy{parse(t, "shop/p", spec)})
	got := fieldErrors(t, err)
	if len(got) != 1 || got[0].Path != "spec.issuers[0].types[0]" {
		t.Errorf("got %v", err)
	}
}
