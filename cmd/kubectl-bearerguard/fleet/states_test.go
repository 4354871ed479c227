package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// ownedBy is a pod of a StatefulSet.
func ownedBy(set string, p corev1.Pod) corev1.Pod {
	yes := true
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Name: set, Controller: &yes}}
	return p
}

func TestToAskTakesSomeOfEachWorkload(t *testing.T) {
	t.Parallel()
	var pods []corev1.Pod
	for _, name := range []string{"orders-0", "orders-1", "orders-2", "bills-0", "bills-1"} {
		set, _, _ := strings.Cut(name, "-")
		pods = append(pods, ownedBy(set, podWith("shop", name, nil, name != "orders-0")))
	}
	asked, running := ToAsk(pods, 3)
	var got []string
	for i := range asked {
		got = append(got, asked[i].Name)
	}
	if diff := cmp.Diff([]string{"orders-1", "bills-0", "orders-2"}, got); diff != "" || running != 5 {
		t.Errorf("%d run (-want +got):\n%s", running, diff)
	}
}

func TestStatesAreAddedToTheirWorkload(t *testing.T) {
	t.Parallel()
	p0, p1 := ownedBy("orders", podWith("shop", "orders-0", nil, true)), ownedBy("orders", podWith("shop", "orders-1", nil, true))
	r := New([]v1alpha1.AuthPolicy{policyNamed("shop", "a", nil)}, []corev1.Pod{p0, p1, ownedBy("bills", podWith("shop", "bills-0", nil, true))})
	at := time.Unix(1000, 0)
	a, b := StateOf(&p0), StateOf(&p1)
	a.Version, a.Whole, a.Refusals = "0.1.0", true, []Refusals{
		{Reason: "NoToken", Count: 2, Last: at, RequestID: "old"}, {Reason: "NoRule", NearestRule: "x", Count: 1, Last: at},
	}
	b.Version, b.OpenPorts, b.Unready = "0.2.0", 1, "no rules have been loaded yet"
	b.Refusals = []Refusals{{Reason: "NoToken", Count: 3, Last: at.Add(time.Second), RequestID: "new"}}
	r.Add([]State{a, b})
	i := 1 // after sts/bills
	want := Workload{
		Namespace: "shop", Name: "sts/orders", Pods: 2, Sidecars: 2, Ready: 2, Versions: []string{"0.1.0", "0.2.0"}, Policies: []string{"a"}, Asked: 2, Partial: true,
		Refusals: []Refusals{
			{Reason: "NoToken", Count: 5, Last: at.Add(time.Second), RequestID: "new"}, {Reason: "NoRule", NearestRule: "x", Count: 1, Last: at},
		},
		Problems: []string{
			"1 of 2 pods with ports of the app that can be reached past the sidecar: orders-1 (1)",
			"1 of 2 pods whose sidecar says why it is not ready: orders-1 (no rules have been loaded yet)",
		},
	}
	if diff := cmp.Diff(want, r.Workloads[i]); diff != "" {
		t.Error(diff)
	}
	if r.Workloads[0].Asked != 0 || len(r.Workloads[0].Problems) > 0 {
		t.Errorf("sts/bills has what is not its: %+v", r.Workloads[0])
	}
	if got, want := r.Count(), (Counts{Policies: 1, Pods: 3, Sidecars: 3, Refused: 6, Workloads: 2, Wrong: 1}); got != want {
		t.Errorf("in all %+v, want %+v", got, want)
	}
}
