package gate

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestPoliciesWithoutAnyKeysAreNamed(t *testing.T) {
	t.Parallel()
	audit := policy.Spec{Mode: policy.Audit}
	for name, tc := range map[string]struct {
		policies []bundle.Policy
		want     string
	}{
		"no policy":                        {nil, ""},
		"one that needs no keys":           {[]bundle.Policy{{Name: "a"}}, ""},
		"one with keys":                    {[]bundle.Policy{{Name: "a", Keys: []string{"there"}}}, ""},
		"one with the keys of one issuer":  {[]bundle.Policy{{Name: "a", Keys: []string{"missing", "there"}}}, ""},
		"one without":                      {[]bundle.Policy{{Name: "a", Keys: []string{"missing", "gone"}}}, "/a"},
		"one with and one without":         {[]bundle.Policy{{Name: "a", Keys: []string{"there"}}, {Name: "b", Keys: []string{"missing"}}}, "/b"},
		"one in Audit, which hurts nobody": {[]bundle.Policy{{Name: "a", Keys: []string{"missing"}, Spec: audit}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := keyless(&bundle.Bundle{Policies: tc.policies, KeySets: map[string]bundle.KeySet{"there": {}}}); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
