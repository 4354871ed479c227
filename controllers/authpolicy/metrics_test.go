package authpolicy

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

func TestMetricsTellWhatStatusesTell(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	m.set("gone", map[string]v1alpha1.AuthPolicyStatus{"old": {Sidecars: &v1alpha1.SidecarStatus{Missing: 7}}})
	m.set("shop", map[string]v1alpha1.AuthPolicyStatus{
		"orders": {
			Sidecars: &v1alpha1.SidecarStatus{Total: 5, Current: 2, Disconnected: 1, Missing: 2},
			Conditions: []metav1.Condition{
				{Type: "ResolvedRefs", Status: "False", Reason: "KeySourceFailed"}, {Type: "Programmed", Status: "Unknown", Reason: "Disconnected"},
				{Type: "Guarded", Status: "False", Reason: "Unguarded"}, {Type: "Ready", Status: "False", Reason: "KeySourceFailed"},
			},
		},
		"fine": {
			Sidecars: &v1alpha1.SidecarStatus{},
			Conditions: []metav1.Condition{
				{Type: "Programmed", Status: "False", Reason: "Pending"}, {Type: "Guarded", Status: "Unknown", Reason: "NoWorkload"},
			},
		},
	})
	m.set("gone", nil)
	m.compiles.Inc()
	const want = `
# HELP bearerguard_compiles_total Compilations of namespaces in which a policy, a key set or the labels of a pod were new.
# TYPE bearerguard_compiles_total counter
bearerguard_compiles_total 1
# HELP bearerguard_disconnected_sidecars Sidecars of pods that a policy selects which are out of touch with the controller.
# TYPE bearerguard_disconnected_sidecars gauge
bearerguard_disconnected_sidecars{namespace="shop",policy="fine"} 0
bearerguard_disconnected_sidecars{namespace="shop",policy="orders"} 1
# HELP bearerguard_policy_problem Conditions of a policy that are not as they should be; the value is 1.
# TYPE bearerguard_policy_problem gauge
bearerguard_policy_problem{condition="Guarded",namespace="shop",policy="orders",reason="Unguarded"} 1
bearerguard_policy_problem{condition="Programmed",namespace="shop",policy="orders",reason="Disconnected"} 1
bearerguard_policy_problem{condition="ResolvedRefs",namespace="shop",policy="orders",reason="KeySourceFailed"} 1
# HELP bearerguard_unguarded_pods Live pods that a policy selects and that run without a sidecar.
# TYPE bearerguard_unguarded_pods gauge
bearerguard_unguarded_pods{namespace="shop",policy="fine"} 0
bearerguard_unguarded_pods{namespace="shop",policy="orders"} 2
`
	if err := testutil.CollectAndCompare(m, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
