package authpolicy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

func TestAnObjectThatCannotBeDecodedIsAProblemOfItsOwn(t *testing.T) {
	t.Parallel()
	app := policy.Selector{MatchLabels: map[string]string{"app": "orders"}}
	cases := map[string]struct {
		spec     string
		selector policy.Selector
		mode     policy.Mode
		says     string
	}{
		"nothing wrong":                {`{"selector":{"matchLabels":{"app":"orders"}},"mode":"Audit"}`, app, policy.Audit, ""},
		"no spec":                      {``, policy.Selector{}, "", "spec: is missing"},
		"null":                         {`null`, policy.Selector{}, "", ""},
		"a duration with days":         {`{"selector":{"matchLabels":{"app":"orders"}},"mode":"Audit","issuers":[{"clockSkew":"1 day"}]}`, app, policy.Audit, "want a number with a unit"},
		"a list of rules that is none": {`{"selector":{"matchLabels":{"app":"orders"}},"rules":"canary"}`, app, "", "rules: is a string; want slice"},
		"an odd selector":              {`{"selector":{"matchLabels":7}}`, policy.Selector{}, "", "matchLabels"},
		"an odd mode":                  {`{"mode":{}}`, policy.Selector{}, policy.Enforce, "mode: is a object; want string"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := decodePolicy(&policyObject{Spec: json.RawMessage(c.spec)})
			if d := cmp.Diff(c.selector, p.Selector); d != "" {
				t.Error(d)
			}
			if p.Spec.Mode != c.mode {
				t.Errorf("mode %q, want %q", p.Spec.Mode, c.mode)
			}
			said := ""
			if p.Unreadable != nil {
				said = p.Unreadable.Error()
			}
			if (said == "") != (c.says == "") || !strings.Contains(said, c.says) || strings.Contains(said, "canary") {
				t.Errorf("says %q; want %q", said, c.says)
			}
		})
	}
}

func TestOneOddEntryDoesNotGiveBackTheOthersTokens(t *testing.T) {
	t.Parallel()
	var o revocationObject
	err := json.Unmarshal([]byte(`{"metadata":{"name":"r"},"spec":
		{"issuer":"https://idp.example","entries":[{"jti":"a"},{"jti":"b","expiresAt":"tomorrow"},{"subject":"c"}]}}`), &o)
	set := revoked.SetOf(policy.Revocation{Issuer: "https://idp.example", Entries: []policy.RevocationEntry{{JTI: "a"}, {Subject: "c"}}})
	if r := revocationOf(&o); err != nil || r.Name != "r" || r.Problem == nil || len(r.Entries) != set.Len() || !slices.Equal(r.Entries, slices.Concat(slices.Collect(set.Lists)...)) {
		t.Errorf("got %+v, %v; want two entries and a problem", r, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"selector":{"matchLabels":{"app":"orders"}},"mode":"Audit","issuers":[{"clockSkew":"30s"}]}`))
	f.Add([]byte(`{"issuer":"i","entries":[{"jti":"a","expiresAt":"2026-11-25T12:00:00Z"}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, spec []byte) {
		decodePolicy(&policyObject{Spec: spec})
		if (&revocationSpec{}).UnmarshalJSON(spec) != nil {
			t.Error("an object that cannot be read ends the watch")
		}
		previous[v1alpha1.AuthPolicyStatus](&writer{}, "", spec)
	})
}
