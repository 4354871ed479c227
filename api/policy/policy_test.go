package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
)

func TestSelectorSelectsAsKubernetesDoes(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"app": "orders", "tier": "web"}
	one := func(key string, op policy.SelectorOperator, values ...string) policy.Selector {
		return policy.Selector{MatchExpressions: []policy.SelectorRequirement{{Key: key, Operator: op, Values: values}}}
	}
	for what, c := range map[string]struct {
		s    policy.Selector
		want bool
	}{
		"empty selects every pod":               {policy.Selector{}, true},
		"all labels fit":                        {policy.Selector{MatchLabels: labels}, true},
		"a label with another value":            {policy.Selector{MatchLabels: map[string]string{"app": "x"}}, false},
		"an empty value is not a missing label": {policy.Selector{MatchLabels: map[string]string{"zone": ""}}, false},
		"in":                                    {one("app", policy.In, "x", "orders"), true},
		"in, label missing":                     {one("zone", policy.In, "a"), false},
		"not in":                                {one("app", policy.NotIn, "orders"), false},
		"not in, label missing":                 {one("zone", policy.NotIn, "a"), true},
		"exists":                                {one("tier", policy.Exists), true},
		"does not exist":                        {one("tier", policy.DoesNotExist), false},
		"an operator that is not known fits none":   {one("tier", "Like", "w"), false},
		"the zero requirement fits none, so denies": {one("tier", ""), false},
	} {
		if got := c.s.Matches(labels); got != c.want {
			t.Errorf("%s: got %v", what, got)
		}
	}
}

func TestSelectorErrorsNameTheField(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]policy.SelectorRequirement{
		"spec.selector.matchExpressions[0].key: is empty":            {Operator: policy.Exists},
		"spec.selector.matchExpressions[0].values: is empty":         {Key: "a", Operator: policy.In},
		"spec.selector.matchExpressions[0].values: must be left out": {Key: "a", Operator: policy.Exists, Values: []string{"x"}},
		"spec.selector.matchExpressions[0].operator: \"Like\"":       {Key: "a", Operator: "Like"},
	} {
		s := policy.Selector{MatchExpressions: []policy.SelectorRequirement{r}}
		if err := s.Validate("spec.selector"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("err = %v; want %s", err, want)
		}
	}
}

func TestSelectorsRefuseWhatNoLabelCanBe(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	const key, value = "spec.selector.matchLabels[%s]: no label has the key %q", "spec.selector.matchLabels[app]: no label has the value %q"
	for label, want := range map[[2]string]string{
		{"app", "orders"}: "", {"app", ""}: "", {"a.b_c-d", "A.b_c-9"}: "", {"example.com/app", "x"}: "", {long, long}: "",
		{"app!", "x"}: key, {"", "x"}: key, {"-app", "x"}: key, {long + "a", "x"}: key, {"a/b/c", "x"}: key, {"/app", "x"}: key,
		{"Example.com/app", "x"}: key, {"example..com/app", "x"}: key, {strings.Repeat("a.", 127) + "a/app", "x"}: key, {"app\n", "x"}: key,
		{"app", "a b"}: value, {"app", "-"}: value, {"app", long + "a"}: value, {"app", "ü"}: value, {"app", "x\n"}: value,
	} {
		s := policy.Selector{MatchLabels: map[string]string{label[0]: label[1]}}
		err := s.Validate("spec.selector")
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", label, err)
		case want == key && (err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf(key, label[0], label[0]))):
			t.Errorf("%q: got %v, want the key refused", label, err)
		case want == value && (err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf(value, label[1]))):
			t.Errorf("%q: got %v, want the value refused", label, err)
		}
		if !s.Decidable() {
			t.Errorf("%q: whom it selects is not known", label)
		}
	}
	s := policy.Selector{MatchExpressions: []policy.SelectorRequirement{{Key: "a", Operator: policy.In, Values: []string{"b", "c d"}}}}
	if err := s.Validate("spec.selector"); err == nil || !strings.HasPrefix(err.Error(), `spec.selector.matchExpressions[0].values: no label has the value "c d"`) {
		t.Errorf("got %v, want the value refused", err)
	}
	s.MatchExpressions[0] = policy.SelectorRequirement{Key: "a b", Operator: policy.Exists}
	if err := s.Validate("spec.selector"); err == nil || !strings.HasPrefix(err.Error(), `spec.selector.matchExpressions[0].key: no label has the key "a b"`) {
		t.Errorf("got %v, want the key refused", err)
	}
}

func TestDurationsAndTimesAreStrings(t *testing.T) {
	t.Parallel()
	var v struct {
		D policy.Duration
		T policy.Time
	}
	if err := json.Unmarshal([]byte(`{"D":"1m30s","T":"2026-11-25T13:00:00+01:00"}`), &v); err != nil {
		t.Fatal(err)
	}
	if v.D.Duration != 90*time.Second || !v.T.Equal(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v and %v", v.D, v.T)
	}
	out, err := json.Marshal(v)
	if err != nil || string(out) != `{"D":"1m30s","T":"2026-11-25T12:00:00Z"}` {
		t.Errorf("marshalled %s, %v", out, err)
	}
	for _, bad := range []string{`{"D":30}`, `{"D":"30"}`, `{"D":"soon"}`, `{"T":"yesterday"}`, `{"T":1764072000}`} {
		if err := json.Unmarshal([]byte(bad), &v); err == nil || !strings.Contains(err.Error(), `"`) {
			t.Errorf("%s: err = %v; want one that shows how to write it", bad, err)
		}
	}
}

func TestRevocationErrorsNameTheField(t *testing.T) {
	t.Parallel()
	entry := []policy.RevocationEntry{{JTI: "a"}}
	for want, r := range map[string]policy.Revocation{
		"spec.issuer: is empty":         {Entries: entry},
		"spec.entries: is empty":        {Issuer: "i"},
		"spec.entries[1]: has 0 of jti": {Issuer: "i", Entries: append(entry[:1:1], policy.RevocationEntry{})},
		"spec.entries[0]: has 2 of jti": {Issuer: "i", Entries: []policy.RevocationEntry{{JTI: "a", Subject: "b"}}},
	} {
		if err := r.Validate("spec"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("err = %v; want %s", err, want)
		}
	}
	if err := (policy.Revocation{Issuer: "i", Entries: entry}).Validate("spec"); err != nil {
		t.Error(err)
	}
}
