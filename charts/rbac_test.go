package charts

import (
	"context"
	"slices"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rights is a real API server with the chart's roles.
type rights struct {
	client.Client
	config *rest.Config
}

// startRights installs the roles and custom resources of a rendered chart, and makes the namespaces shop and bank.
func startRights(t *testing.T, values ...string) *rights {
	t.Helper()
	text, err := render(t, values...)
	if err != nil {
		t.Fatal(err)
	}
	config := startAPI(t).Config
	c, err := client.New(config, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bearerguard-system", "shop", "bank"} {
		if err := c.Create(t.Context(), objects(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+"}\n")[0]); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range objects(t, text) {
		if o.GroupVersionKind().Group != rbacv1.GroupName && o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	r := &rights{c, config}
	r.aggregate(t)
	return r
}

// aggregate gives admin, edit and view the rules of the roles that their selectors match, as kube-controller-manager does.
func (r *rights) aggregate(t *testing.T) {
	t.Helper()
	for _, name := range []string{"view", "edit", "admin"} { // each has what the one before has
		var role rbacv1.ClusterRole
		if err := r.Get(t.Context(), client.ObjectKey{Name: name}, &role); err != nil {
			t.Fatal(err)
		}
		var all rbacv1.ClusterRoleList
		if err := r.List(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		role.Rules = nil
		for _, s := range role.AggregationRule.ClusterRoleSelectors {
			selector, err := metav1.LabelSelectorAsSelector(&s)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range all.Items {
				if selector.Matches(labels.Set(other.Labels)) {
					role.Rules = append(role.Rules, other.Rules...)
				}
			}
		}
		if err := r.Update(t.Context(), &role); err != nil {
			t.Fatal(err)
		}
	}
}

// as returns a client of a user that is bound to a ClusterRole in the namespace shop.
func (r *rights) as(t *testing.T, role string) client.Client {
	t.Helper()
	user := "user-" + role
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}
	if err := r.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(r.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	c, err := client.New(config, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// samples are an object of each kind that people write.
const samples = `
apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers: [{name: corp, issuer: "https://corp.example", audiences: [orders], keys: {jwksURL: "https://corp.example/jwks"}}]
  rules: [{name: all, allow: {authenticated: true}}]
---
apiVersion: bearerguard.dev/v1alpha1
kind: TokenRevocation
metadata: {name: stolen}
spec: {issuer: "https://corp.example", entries: [{jti: "7", expiresAt: "2030-01-01T00:00:00Z"}]}
---
apiVersion: bearerguard.dev/v1alpha1
kind: RevocationSource
metadata: {name: corp}
spec: {issuer: "https://corp.example", audiences: [orders], tokenLifetime: 1h, backChannelLogout: {}}
`

// can returns what a user can do in a namespace with each kind, as a kind and a verb.
func can(t *testing.T, c client.Client, namespace string) []string {
	t.Helper()
	var out []string
	try := func(what string, err error) {
		t.Helper()
		switch {
		case err == nil:
			out = append(out, what)
		case !apierrors.IsForbidden(err) && !meta.IsNoMatchError(err):
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, o := range objects(t, samples) {
		o.SetNamespace(namespace)
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(o.GroupVersionKind())
		try("list "+o.GetKind(), c.List(t.Context(), list, client.InNamespace(namespace)))
		// As kubectl apply --server-side and GitOps tools do it.
		err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"))
		try("apply "+o.GetKind(), err)
		if err == nil {
			try("delete "+o.GetKind(), c.Delete(t.Context(), o))
		}
	}
	return out
}

// soon is can once that is as wanted, or some seconds are over: an API server learns of kinds, roles and bindings a little later.
func soon(t *testing.T, c client.Client, namespace string, as func(can []string) bool) (got []string) {
	t.Helper()
	_ = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		got = can(t, c, namespace)
		return as(got), nil
	})
	return got
}

func TestTheBuiltInRolesWriteAndReadPolicies(t *testing.T) {
	r := startRights(t)
	all := []string{
		"list AuthPolicy", "apply AuthPolicy", "delete AuthPolicy", "list TokenRevocation", "apply TokenRevocation", "delete TokenRevocation",
		"list RevocationSource", "apply RevocationSource", "delete RevocationSource",
	}
	for role, want := range map[string][]string{
		"admin": all, "edit": all, "view": {"list AuthPolicy", "list RevocationSource"}, "bearerguard-policies-edit": all, "bearerguard-policies-view": {"list AuthPolicy", "list RevocationSource"},
	} {
		user := r.as(t, role)
		if got := soon(t, user, "shop", func(can []string) bool { return slices.Equal(can, want) }); !slices.Equal(got, want) {
			t.Errorf("%s can %q in its namespace, want %q", role, got, want)
		}
		if got := can(t, user, "bank"); got != nil {
			t.Errorf("%s can %q in another namespace, want nothing", role, got)
		}
		// Statuses are the controller's word, and chunks what providers have said; and view stays without secrets.
		for _, a := range []authorizationv1.ResourceAttributes{
			{Group: "bearerguard.dev", Resource: "authpolicies", Subresource: "status", Verb: "patch"},
			{Group: "bearerguard.dev", Resource: "revocationchunks", Verb: "create"},
			{Group: "bearerguard.dev", Resource: "revocationchunks", Verb: "delete"},
		} {
			a.Namespace = "shop"
			if allowed(t, user, a) {
				t.Errorf("%s may %s %s/%s", role, a.Verb, a.Resource, a.Subresource)
			}
		}
		if may := allowed(t, user, authorizationv1.ResourceAttributes{Namespace: "shop", Resource: "secrets", Verb: "get"}); may && role != "admin" && role != "edit" {
			t.Errorf("%s reads secrets", role)
		}
	}
}

func TestWithoutAggregationOnlyThoseWriteWhoAreBoundToIt(t *testing.T) {
	r := startRights(t, `rbac={"aggregate":false}`)
	for role, want := range map[string]int{"admin": 0, "edit": 0, "view": 0, "bearerguard-policies-edit": 9, "bearerguard-policies-view": 2} {
		if got := soon(t, r.as(t, role), "shop", func(can []string) bool { return len(can) == want }); len(got) != want {
			t.Errorf("%s can %q, want %d things", role, got, want)
		}
	}
}

// Whatever rbac.secrets says, the controller reads its own Secrets, and no others than it says.
func TestWhichSecretsTheControllerReads(t *testing.T) {
	for setting, want := range map[string][]string{
		`rbac={"secrets":"cluster"}`:                          {"shop", "bank"},
		`rbac={"secrets":"namespaces","namespaces":["shop"]}`: {"shop"},
		`rbac={"secrets":"none"}`:                             nil,
	} {
		t.Run(setting, func(t *testing.T) {
			r := startRights(t, setting)
			config := rest.CopyConfig(r.config)
			config.Impersonate = rest.ImpersonationConfig{
				UserName: "system:serviceaccount:bearerguard-system:bearerguard-controller",
				Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:bearerguard-system", "system:authenticated"},
			}
			controller, err := client.New(config, client.Options{Scheme: clientgoscheme.Scheme})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, namespace := range []string{"shop", "bank"} {
				get := authorizationv1.ResourceAttributes{Namespace: namespace, Resource: "secrets", Name: "keys", Verb: "get"}
				watch := get
				watch.Verb = "watch"
				if allowed(t, controller, get) && allowed(t, controller, watch) {
					got = append(got, namespace)
				}
				if list := (authorizationv1.ResourceAttributes{Namespace: namespace, Resource: "secrets", Verb: "list"}); allowed(t, controller, list) {
					t.Errorf("it lists the secrets of %s", namespace)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("reads those of %q, want %q", got, want)
			}
			for name, verb := range map[string]string{"bearerguard-certs": "update", "bearerguard-keys-7": "get", "bearerguard-nonces": "get"} {
				if !allowed(t, controller, authorizationv1.ResourceAttributes{Namespace: "bearerguard-system", Resource: "secrets", Name: name, Verb: verb}) {
					t.Errorf("it may not %s its own %s", verb, name)
				}
			}
		})
	}
}

// allowed asks the API server whether the client's user may do something.
func allowed(t *testing.T, c client.Client, a authorizationv1.ResourceAttributes) bool {
	t.Helper()
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &a}}
	if err := c.Create(context.WithoutCancel(t.Context()), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}
