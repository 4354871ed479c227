package inject_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// NetworkPolicies are made by this label: it says what the sidecar serves, whatever the pod brought.
func TestTheLabelSaysWhatTheSidecarServes(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("%d:%d", 10000+i, 20000+i))
	}
	for name, tc := range map[string]struct {
		annotations annotations
		want        string // "": no label
	}{
		"one port":                       {annotations{"bearerguard.dev/capture": "ports", "bearerguard.dev/ports": "8080:18080"}, "8080"},
		"several, sorted by their value": {annotations{"bearerguard.dev/capture": "ports", "bearerguard.dev/ports": "10000:1, 443:2,8080:3"}, "443.8080.10000"},
		"more than a label holds":        {annotations{"bearerguard.dev/capture": "ports", "bearerguard.dev/ports": strings.Join(many, ",")}, ""},
		"redirect":                       {annotations{}, ""},
	} {
		tc.annotations[injectKey] = "enabled"
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Annotations: tc.annotations, Labels: map[string]string{v1alpha1.LabelServes: "1"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}},
		}
		got, err := inject.Inject(pod, validConfig().In(inject.Namespace{Name: "shop"}))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if label, ok := got.Pod.Labels[v1alpha1.LabelServes]; label != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %q, want %q", name, label, tc.want)
		}
	}
}
