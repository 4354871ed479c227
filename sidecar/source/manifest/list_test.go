package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const listed = `apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: bearerguard.dev/v1alpha1
  kind: AuthPolicy
  metadata: {name: a, namespace: shop}
  spec: {rules: [{name: all, allow: {anonymous: true}}]}
- apiVersion: bearerguard.dev/v1alpha1
  kind: AuthPolicyList
  items:
  - apiVersion: bearerguard.dev/v1alpha1
    kind: AuthPolicy
    metadata: {name: b, namespace: shop}
    spec: {rules: [{name: "no", match: [{paths: ["/a/[0-9]+"]}], deny: {}}]}
- {apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {k: v}}
`

func TestListsAreReadWhereverObjectsAre(t *testing.T) {
	t.Parallel()
	for what, data := range map[string]string{
		"a List":                        listed,
		"a List beside other documents": "# nothing here\n---\n" + listed + "---\napiVersion: v1\nkind: List\nitems: []\n---\napiVersion: v1\nkind: SecretList\n",
	} {
		set, err := Parse([]File{{Name: "f.yaml", Data: []byte(data)}}, "default")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var got []string
		for _, p := range set.Policies {
			got = append(got, p.ID())
		}
		if diff := cmp.Diff([]string{"shop/a", "shop/b"}, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if string(set.Secrets[Ref{"default", "s"}]["k"]) != "v" {
			t.Errorf("%s: the Secret was not read", what)
		}
	}
}

func TestAMistakeInAListHasItsLine(t *testing.T) {
	t.Parallel()
	_, err := Parse([]File{{Name: "f.yaml", Data: []byte(strings.Replace(listed, "anonymous", "anonymus", 1))}}, "default")
	if err == nil || !strings.HasPrefix(err.Error(), "f.yaml:8: spec.rules[0].allow.anonymus: is not a known field") {
		t.Error(err)
	}
}

func TestForeignObjectsAreSkippedWithALine(t *testing.T) {
	t.Parallel()
	const data = `apiVersion: apps/v1
kind: Deployment
metadata: {name: orders}
spec: {anything: [goes]}
---
apiVersion: v1
kind: Service
metadata: {name: orders}
---
apiVersion: kuadrant.io/v1
kind: AuthPolicy
metadata: {name: other}
---
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: a}
spec: {rules: [{name: all, allow: {anonymous: true}}]}
`
	set, err := Parse([]File{{Name: "f.yaml", Data: []byte(data)}}, "default")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"f.yaml:1: apps/v1 Deployment orders: is not used here, and skipped",
		"f.yaml:6: Service orders: is not used here, and skipped",
		"f.yaml:10: kuadrant.io/v1 AuthPolicy other: is not used here, and skipped",
	}
	if diff := cmp.Diff(want, set.Skipped); diff != "" {
		t.Error(diff)
	}
	if len(set.Policies) != 1 {
		t.Errorf("%d policies; want 1", len(set.Policies))
	}
}

func TestWarningsNameTheirLine(t *testing.T) {
	t.Parallel()
	set, err := Parse([]File{{Name: "f.yaml", Data: []byte(listed)}}, "default")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"f.yaml:8: shop/a: spec.rules[0].allow.anonymous: lets everybody in, to every path, and to those that the app will have later; want paths with what is public",
		`f.yaml:15: shop/b: spec.rules[0].match[0].paths[0]: "[0-9]" is literal text: a path is no regular expression; want * or {name} for one segment, ** for any number of them`,
	}
	if diff := cmp.Diff(want, set.Warnings()); diff != "" {
		t.Error(diff)
	}
}

func TestARevocationSourceIsForAClusterAlone(t *testing.T) {
	t.Parallel()
	files := []File{{Name: "f.yaml", Data: []byte("apiVersion: bearerguard.dev/v1alpha1\nkind: RevocationSource\nmetadata: {name: logout}\nspec: {any: thing}\n")}}
	if _, err := Parse(files, "default"); err == nil || !strings.Contains(err.Error(), "RevocationSource is for the controller of a cluster") {
		t.Errorf("in a sidecar's directory: %v", err)
	}
	set, err := ParseForCluster(files, "default")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f.yaml:1: RevocationSource logout: is for the controller of a cluster, and skipped"}, set.Skipped); diff != "" {
		t.Error(diff)
	}
}
