package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

func policyNamed(namespace, name string, selector map[string]string) v1alpha1.AuthPolicy {
	return v1alpha1.AuthPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.AuthPolicySpec{
			Selector: policy.Selector{MatchLabels: selector},
			Spec:     policy.Spec{Issuers: []policy.Issuer{{Name: "corp", Issuer: "https://corp.example", Keys: policy.KeySource{JWKSURL: "https://corp.example/jwks"}}}},
		},
	}
}

// podWith is a pod with a sidecar that runs, and is ready or not.
func podWith(namespace, name string, labels map[string]string, ready bool) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{InitContainers: []corev1.Container{{Name: inject.SidecarName}}},
		Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{
			Name: inject.SidecarName, Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}},
	}
}

func TestHolders(t *testing.T) {
	t.Parallel()
	orders, bills := map[string]string{"app": "orders"}, map[string]string{"app": "bills"}
	bare := podWith("shop", "bare", orders, true)
	bare.Spec, bare.Status = corev1.PodSpec{}, corev1.PodStatus{}
	gone := podWith("shop", "gone", orders, true)
	gone.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	pods := []corev1.Pod{
		bare, gone, podWith("shop", "orders-0", orders, false), podWith("shop", "orders-1", orders, true), podWith("shop", "bills-0", bills, true),
		podWith("pay", "orders-0", orders, true),
	}
	for name, tt := range map[string]struct {
		policies []v1alpha1.AuthPolicy
		most     int
		want     []string
		left     int
	}{
		"a ready sidecar goes first":           {[]v1alpha1.AuthPolicy{policyNamed("shop", "a", orders)}, 9, []string{"shop/orders-1"}, 0},
		"one pod tells of all that selects it": {[]v1alpha1.AuthPolicy{policyNamed("shop", "a", orders), policyNamed("shop", "b", nil)}, 9, []string{"shop/orders-1"}, 0},
		"a namespace is one of its own":        {[]v1alpha1.AuthPolicy{policyNamed("pay", "a", orders)}, 9, []string{"pay/orders-0"}, 0},
		"nobody can tell of one without pods":  {[]v1alpha1.AuthPolicy{policyNamed("shop", "a", map[string]string{"app": "x"})}, 9, nil, 0},
		"no more are asked than may be":        {[]v1alpha1.AuthPolicy{policyNamed("shop", "a", orders), policyNamed("shop", "b", bills)}, 1, []string{"shop/orders-1"}, 1},
	} {
		asked, left := Holders(tt.policies, pods, tt.most)
		var got []string
		for i := range asked {
			got = append(got, asked[i].Namespace+"/"+asked[i].Name)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || left != tt.left {
			t.Errorf("%s: %d left, want %d (-want +got):\n%s", name, left, tt.left, diff)
		}
	}
}

func TestFetchesAreThoseOfTheSource(t *testing.T) {
	t.Parallel()
	a, b := policyNamed("shop", "a", nil), policyNamed("shop", "b", nil)
	a.Spec.Issuers = append([]policy.Issuer{{Name: "own", Keys: policy.KeySource{SecretRef: &policy.KeyRef{Name: "s", Key: "k"}}}}, a.Spec.Issuers...)
	policies := []v1alpha1.AuthPolicy{a, b}
	all := append(KeysOf(&a), KeysOf(&b)...)
	all[2].Fetch = &fetch.Report{Failures: 7} // a sidecar's own
	AddFetches(all, policies, map[string]fetch.Report{bundle.SourceID("shop", b.Spec.Issuers[0]): {Failures: 1}})
	if all[0].Fetch != nil || all[1].Fetch == nil || all[1].Fetch.Failures != 1 || all[2].Fetch.Failures != 7 {
		t.Errorf("fetches are %v, %v, %v", all[0].Fetch, all[1].Fetch, all[2].Fetch)
	}
}

func TestHeldKeysAreThoseOfTheirIssuer(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	a := policyNamed("shop", "a", nil)
	a.Status.Issuers = []v1alpha1.IssuerStatus{{Name: "corp", LastFetched: &metav1.Time{Time: now.Add(-time.Hour)}}}
	all := append(KeysOf(&a), Keys{Namespace: "shop", Policy: "b", Issuer: "corp"})
	key := keyset.Description{KeyID: "k", Type: "RSA"}
	(&HeldKeys{Pod: "p", Issuers: []HeldIssuer{
		{Policy: "shop/a", Issuer: "corp", Keys: []keyset.Description{key}, More: 3, Fetch: &fetch.Report{Fetched: now.Add(-time.Minute)}},
		{Policy: "shop/b", Issuer: "other", Keys: []keyset.Description{key}},
		{Policy: "pay/b", Issuer: "corp", Keys: []keyset.Description{key}},
	}}).Add(all)
	(&HeldKeys{Pod: "q", Issuers: []HeldIssuer{{Policy: "shop/a", Issuer: "corp"}}}).Add(all)
	if fmt.Sprint(all[0].Held) != fmt.Sprint([]keyset.Description{key}) || all[0].HeldMore != 3 || all[0].HeldBy != "p" || all[0].Age(now) != time.Minute {
		t.Errorf("shop/a: %+v", all[0])
	}
	if all[1].HeldBy != "" {
		t.Errorf("shop/b has keys of another issuer: %+v", all[1])
	}
}
