package webhook_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// ofNobody has namespaces whose label names a release that is not there, while another one runs: it does not inject their pods, and
// the API server lets none come up bare that is to have a sidecar.
func (c *cluster) ofNobody(t *testing.T) {
	c.namespace(t, "red", map[string]string{v1alpha1.LabelRevision: "red"})
	c.namespace(t, "red-labelled", map[string]string{v1alpha1.LabelRevision: "red", v1alpha1.LabelInject: "enabled"})
	c.namespace(t, "red-enforced", map[string]string{v1alpha1.LabelRevision: "red", v1alpha1.LabelEnforce: "true", v1alpha1.LabelInject: "enabled"})
	c.namespace(t, "empty-labelled", map[string]string{v1alpha1.LabelRevision: "", v1alpha1.LabelInject: "enabled"})
	disabled := map[string]string{injectKey: "disabled"}
	const by = "Sidecars are put in by the release of revision red, which the label bearerguard.dev/revision of the namespace names: see that it is installed and runs"
	in := func(o *metav1.ObjectMeta, namespace string) { o.Namespace = namespace }
	fake := forged(podSaying("disabled"))
	in(&fake.ObjectMeta, "red-enforced")
	for name, tc := range map[string]struct {
		object client.Object
		want   string // "": taken
	}{
		"a pod that asks is refused":                        {podOf("red", nil, asked), by},
		"one whose namespace asks is":                       {podOf("red-labelled", nil, nil), by},
		"a label without a name is no missing label":        {podOf("empty-labelled", nil, nil), "its namespace, by the label bearerguard.dev/inject, asks"},
		"a workload that nobody injects for is refused":     {deploymentOf("red", asked, nil), "bearerguard.dev/inject is put into the template by the release of revision red"},
		"a pod that asks nothing is taken":                  {podOf("red", nil, nil), ""},
		"one that says disabled is":                         {podOf("red-labelled", nil, disabled), ""},
		"an enforced namespace takes none that is disabled": {podOf("red-enforced", nil, disabled), noGuard},
		"nor a sidecar that somebody has made up":           {fake, noGuard},
	} {
		if err := c.Create(t.Context(), tc.object, client.DryRunAll); tc.want == "" && err != nil || tc.want != "" && refusedWith(err, tc.want) != nil {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
