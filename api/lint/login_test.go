package lint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestALogInThatNobodyHas(t *testing.T) {
	t.Parallel()
	cluster := policy.Issuer{Name: "k8s", Keys: policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}}
	corp := policy.Issuer{Name: "corp", Keys: policy.KeySource{Discovery: &policy.Discovery{}}}
	want := []string{"spec.rules[0].allow.authentication: lets no token in: service accounts and workloads do not log in, " +
		"so their tokens have neither acr nor auth_time; want an issuer whose users log in"}
	for what, c := range map[string]struct {
		issuers []policy.Issuer
		only    []string
		want    []string
	}{
		"of the cluster alone":                {[]policy.Issuer{cluster}, nil, want},
		"of the cluster and an issuer":        {[]policy.Issuer{cluster, corp}, nil, nil},
		"of the cluster, as the rule narrows": {[]policy.Issuer{cluster, corp}, []string{"k8s"}, want},
		"of the issuer, as the rule narrows":  {[]policy.Issuer{cluster, corp}, []string{"corp"}, nil},
		"no issuers, which Compile refuses":   {nil, nil, nil},
	} {
		rule := policy.Rule{Name: "a", Allow: &policy.Allow{
			Conditions: policy.Conditions{Issuers: c.only}, Authentication: &policy.Authentication{ACR: []string{"mfa"}},
		}}
		var got []string
		for _, f := range Policy(&policy.Spec{Issuers: c.issuers, Rules: []policy.Rule{rule}}, decision.ExpressionHints) {
			got = append(got, f.Error())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}
