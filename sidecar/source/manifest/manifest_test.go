package manifest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

const shop = `# a comment alone makes an empty document
---
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata:
  name: orders
  namespace: shop
  creationTimestamp: null
  annotations: {a: b}
spec:
  selector: {matchLabels: {app: orders}}
  issuers:
  - name: corp
    issuer: https://login.example.com
    audiences: [orders]
    keys: {secretRef: {name: corp, key: jwks}}
    clockSkew: 1m
  rules:
  - name: read
    match: [{paths: ["/orders/{id}"], methods: [GET]}]
    allow: {claims: [{claim: level, greaterThan: 3}, {claim: admin, exists: true}]}
status: {observedGeneration: 3}
---
apiVersion: bearerguard.dev/v1alpha1
kind: TokenRevocation
metadata: {name: gone}
spec:
  issuer: https://login.example.com
  entries: [{jti: a, expiresAt: 2027-01-01T00:00:00Z}]
---
apiVersion: v1
kind: Secret
metadata: {name: corp, namespace: shop}
type: Opaque
data: {jwks: YWJj, other: "eHl6"}
stringData: {other: plain}
---
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "corp"}, "data": {"a": "1"}, "binaryData": {"b": "Mg=="}}
`

// What the controller of a cluster does with a policy is no matter here, and no mistake.
func TestNetworkPolicyIsTakenAndMeansNothing(t *testing.T) {
	t.Parallel()
	text := strings.Replace(shop, "  selector:", "  networkPolicy: true\n  selector:", 1)
	got, err := Parse([]File{{Name: "shop.yaml", Data: []byte(text)}}, "default")
	if err != nil || len(got.Policies) != 1 || len(got.Policies[0].Spec.Rules) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse([]File{{Name: "shop.yaml", Data: []byte(shop)}}, "default")
	if err != nil {
		t.Fatal(err)
	}
	three, yes := int64(3), true
	want := &Set{
		Policies: []bundle.Object{{
			Namespace: "shop", Name: "orders",
			Selector: policy.Selector{MatchLabels: map[string]string{"app": "orders"}},
			Spec: policy.Spec{
				Issuers: []policy.Issuer{{
					Name: "corp", Issuer: "https://login.example.com", Audiences: []string{"orders"},
					Keys:      policy.KeySource{SecretRef: &policy.KeyRef{Name: "corp", Key: "jwks"}},
					ClockSkew: &policy.Duration{Duration: time.Minute},
				}},
				Rules: []policy.Rule{{
					Name:  "read",
					Match: []policy.Match{{Paths: []string{"/orders/{id}"}, Methods: []string{"GET"}}},
					Allow: &policy.Allow{Conditions: policy.Conditions{Claims: []policy.ClaimCondition{
						{Claim: "level", GreaterThan: &three}, {Claim: "admin", Exists: &yes},
					}}},
				}},
			},
		}},
		Revocations: []Revocation{{Namespace: "default", Name: "gone", Revocation: policy.Revocation{
			Issuer:  "https://login.example.com",
			Entries: []policy.RevocationEntry{{JTI: "a", ExpiresAt: &policy.Time{Time: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}}},
		}}},
		Secrets:    map[Ref]Data{{"shop", "corp"}: {"jwks": []byte("abc"), "other": []byte("plain")}},
		ConfigMaps: map[Ref]Data{{"default", "corp"}: {"a": []byte("1"), "b": []byte("2")}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Set{})); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
	if place := got.Place(got.Policies[0], "spec.rules[0].allow.claims[1].claim"); place != "shop.yaml:21" {
		t.Errorf("Place = %q, want shop.yaml:21", place)
	}
	if place := got.Place(got.Policies[0], `spec.issuers[0].nothing["x.y"][9]`); place != "shop.yaml:13" {
		t.Errorf("Place of a path that is not written = %q, want the nearest above, shop.yaml:13", place)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: bearerguard.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: a}\n"
	const secretHead = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
	tests := map[string]struct{ yaml, want string }{
		"an unknown field": {head + "spec:\n  rules:\n  - name: a\n    allow:\n      scope: [a]\n",
			`f.yaml:8: spec.rules[0].allow.scope: is not a known field; want one of actors, anonymous, authenticated, authentication, claims, ignoreToken, issuers, maxBody, scopes, serviceAccounts, spiffeIDs, subjects, when`},
		"an unknown field at the top":    {head + "spce: {}\n", `f.yaml:4: spce: is not a known field; want one of apiVersion, kind, metadata, spec, status`},
		"a field in another case":        {head + "spec: {Mode: Audit}\n", `f.yaml:4: spec.Mode: is not a known field`},
		"a field twice":                  {head + "spec:\n  mode: Audit\n  mode: Enforce\n", `f.yaml:6: spec.mode: is given twice`},
		"a number where text belongs":    {head + "spec:\n  issuers:\n  - name: 7\n", `f.yaml:6: spec.issuers[0].name: is a number; want a string (put it in quotes)`},
		"a boolean where text belongs":   {head + "spec: {mode: true}\n", `f.yaml:4: spec.mode: is a boolean; want a string`},
		"text where a boolean belongs":   {head + "spec: {rules: [{allow: {anonymous: yes}}]}\n", `f.yaml:4: spec.rules[0].allow.anonymous: is a string; want true or false`},
		"text where a list belongs":      {head + "spec: {issuers: a}\n", `f.yaml:4: spec.issuers: is a string; want a list`},
		"a list where an object belongs": {head + "spec: []\n", `f.yaml:4: spec: is a list; want an object`},
		"null":                           {head + "spec:\n  rules:\n", `f.yaml:5: spec.rules: is null; want a value, or leave the field out`},
		"a fraction":                     {head + "spec: {rules: [{allow: {claims: [{claim: a, lessThan: 1.5}]}}]}\n", `claims[0].lessThan: is a number; want a whole number`},
		"a number too large":             {head + "spec: {rules: [{allow: {claims: [{claim: a, lessThan: 99999999999999999999}]}}]}\n", `claims[0].lessThan: is a number; want a whole number`},
		"a malformed duration":           {head + "spec:\n  issuers:\n  - clockSkew: 5\n", `f.yaml:6: spec.issuers[0].clockSkew: duration "5": want a number with a unit`},
		"a bad selector": {head + "spec:\n  selector:\n    matchExpressions:\n    - {key: a, operator: in}\n",
			`f.yaml:7: spec.selector.matchExpressions[0].operator: "in" is none of In, NotIn, Exists, DoesNotExist`},
		"an empty revocation": {"apiVersion: bearerguard.dev/v1alpha1\nkind: TokenRevocation\nmetadata: {name: a}\nspec:\n  issuer: x\n  entries: [{}]\n",
			`f.yaml:6: spec.entries[0]: has 0 of jti, subject, session; want exactly one`},
		"a source of revocations":   {"apiVersion: bearerguard.dev/v1alpha1\nkind: RevocationSource\nmetadata: {name: a}\n", `f.yaml:1: kind: RevocationSource is for the controller of a cluster, which has an endpoint for events; want TokenRevocation`},
		"another kind":              {"apiVersion: v1\nkind: Configmap\nmetadata: {name: a}\n", `f.yaml:1: kind: "Configmap" is not used here; want AuthPolicy, TokenRevocation, Secret or ConfigMap`},
		"another kind of the group": {"apiVersion: bearerguard.dev/v1alpha1\nkind: AuthPolicie\nmetadata: {name: a}\n", `f.yaml:1: kind: "AuthPolicie" is not used here`},
		"a group like ours":         {"apiVersion: bearergaurd.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: a}\n", `f.yaml:1: apiVersion: is "bearergaurd.dev/v1alpha1"; want bearerguard.dev/v1alpha1`},
		"a List of no list":         {"apiVersion: v1\nkind: List\nitems: 7\n", `f.yaml:3: items: is a number; want a list of objects`},
		"no kind":                   {"a: b\n", `f.yaml:1: kind: "" is not used here`},
		"another version":           {"apiVersion: bearerguard.dev/v2\nkind: AuthPolicy\nmetadata: {name: a}\n", `f.yaml:1: apiVersion: is "bearerguard.dev/v2"; want bearerguard.dev/v1alpha1`},
		"no name":                   {"apiVersion: v1\nkind: Secret\n", `f.yaml:1: metadata.name: is missing or malformed`},
		"a name that climbs":        {"apiVersion: v1\nkind: Secret\nmetadata: {name: ../a}\n", `metadata.name: is missing or malformed`},
		"a bad namespace":           {"apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: A/b}\n", `metadata.namespace: is malformed`},
		"metadata as text":          {"apiVersion: v1\nkind: Secret\nmetadata: a\n", `f.yaml:3: metadata: is a string; want an object`},
		"a scalar document":         {"hello\n", `f.yaml:1: is a string; want an object`},
		"plain text in data":        {secretHead + "data:\n  key: s3cret-canary!\n", `f.yaml:5: data.key: is not base64; plain text goes into stringData`},
		"an object twice":           {secretHead + "---\n" + secretHead, `f.yaml:5: Secret default/a is defined at f.yaml:1 already`},
		"broken YAML":               {head + "spec: {rules: [}\n", `f.yaml:4: is not YAML: `},
		"a merge key":               {head + "spec: {selector: {matchLabels: &x {a: b}, <<: *x}}\n", "has a member whose name is not plain text"},
		"a list as a name":          {head + "? [a]\n: b\n", "has a member whose name is not plain text"},
		"an alias to itself":        {head + "spec: &x\n  rules: [{allow: {claims: [*x]}}]\n", "f.yaml:"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := Parse([]File{{Name: "f.yaml", Data: []byte(test.yaml)}}, "default")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v\nwant %s", err, test.want)
			}
			if set != nil {
				t.Error("there is a Set beside the error")
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error repeats a Secret: %v", err)
			}
		})
	}
}

func TestParseReportsEachDocument(t *testing.T) {
	t.Parallel()
	_, err := Parse([]File{
		{Name: "b.yaml", Data: []byte("kind: X\n")},
		{Name: "a.yaml", Data: []byte("kind: Y\n---\nkind: Z\n")},
	}, "default")
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, line[:8])
	}
	if diff := cmp.Diff([]string{"a.yaml:1", "a.yaml:3", "b.yaml:1"}, lines); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
}

func TestAliasesAreUnfoldedWithinBounds(t *testing.T) {
	t.Parallel()
	fine := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: &x one, b: *x}\n"
	set, err := Parse([]File{{Name: "f.yaml", Data: []byte(fine)}}, "default")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(set.ConfigMaps[Ref{"default", "a"}]["b"]); got != "one" {
		t.Errorf("an alias gives %q, want %q", got, "one")
	}
	bomb := "rules:\n- &r {match: [" + strings.Repeat("{methods: [GET]},", 100) + "]}\n" + strings.Repeat("- *r\n", 100)
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(bomb), &doc); err != nil {
		t.Fatal(err)
	}
	var spec policySpec
	d := &decoder{file: "f.yaml", most: 10_000}
	if err := d.decode(doc.Content[0], reflect.ValueOf(&spec).Elem(), "spec", 0); err == nil || !strings.Contains(err.Error(), "is too large") {
		t.Errorf("a bomb of aliases: error = %v, want one that says it is too large", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(shop))
	f.Add([]byte("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: &x b, c: *x}\n"))
	f.Add([]byte("{}\n---\n[]\n---\n? a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Parse([]File{{Name: "f", Data: data}}, "default")
		if (set == nil) == (err == nil) {
			t.Fatalf("set %v, error %v: want exactly one", set, err)
		}
		if err != nil {
			return
		}
		for _, p := range set.Policies {
			if set.Place(p, "spec.rules[0].name") == "" {
				t.Errorf("policy %s has no place", p.ID())
			}
		}
	})
}

func TestAFileThatWasEmptiedIsAnError(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", " \n"} {
		if _, err := Parse([]File{{Name: "orders.yaml", Data: []byte(data)}}, "default"); err == nil || !strings.Contains(err.Error(), "orders.yaml: is empty") {
			t.Errorf("%q: err = %v; want one that names the file", data, err)
		}
	}
}
