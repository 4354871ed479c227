package charts

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// tracesOf returns what the controller's container is told of traces, by its arguments, and the names of its volumes and variables.
func tracesOf(t *testing.T, values ...string) (args, names []string) {
	t.Helper()
	manifest, err := render(t, values...)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects(t, manifest) {
		if o.GetKind() != "Deployment" {
			continue
		}
		containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		all, _, _ := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
		for _, a := range all {
			if strings.Contains(a, "trace-") {
				args = append(args, a)
			}
		}
		volumes, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "volumes")
		env, _, _ := unstructured.NestedSlice(containers[0].(map[string]any), "env")
		for _, x := range slices.Concat(volumes, env) {
			if name := x.(map[string]any)["name"].(string); name == "trace" || strings.HasPrefix(name, "OTEL_") {
				names = append(names, name)
			}
		}
	}
	return args, names
}

// The values of traces reach the controller and, as a default, sidecars; what sidecar.flags says goes first, and a credential goes to no other collector.
func TestTraces(t *testing.T) {
	t.Parallel()
	const whole = `tracing={"endpoint":"https://c.example:4318","ratio":0.25,"ca":{"configMapName":"ca"},"headers":{"secretName":"token"}}`
	controller := []string{"--trace-endpoint=https://c.example:4318", "--trace-protocol=http/protobuf", "--trace-rate=100", "--trace-ratio=0.25", "--trace-ca=/trace/ca.crt", "--trace-headers=/trace/headers"}
	for name, tt := range map[string]struct {
		values      []string
		args, names []string
	}{
		"off": {nil, nil, nil},
		"a collector": {
			[]string{`tracing={"endpoint":"http://c.example:4318"}`},
			[]string{
				"--sidecar-flag=trace-endpoint=http://c.example:4318", "--sidecar-flag=trace-protocol=http/protobuf", "--sidecar-flag=trace-rate=100",
				"--trace-endpoint=http://c.example:4318", "--trace-protocol=http/protobuf", "--trace-rate=100",
			},
			[]string{"OTEL_RESOURCE_ATTRIBUTES"},
		},
		"a credential and an authority": {
			[]string{whole},
			append([]string{
				"--sidecar-flag=trace-ca=configmap/ca", "--sidecar-flag=trace-endpoint=https://c.example:4318", "--sidecar-flag=trace-headers=token",
				"--sidecar-flag=trace-protocol=http/protobuf", "--sidecar-flag=trace-rate=100", "--sidecar-flag=trace-ratio=0.25",
			}, controller...),
			[]string{"trace", "OTEL_RESOURCE_ATTRIBUTES"},
		},
		"sidecars with a collector of their own": {
			[]string{whole, `sidecar={"flags":{"trace-endpoint":"http://own.example:4318","trace-ratio":0.05}}`},
			append([]string{"--sidecar-flag=trace-endpoint=http://own.example:4318", "--sidecar-flag=trace-ratio=0.05"}, controller...),
			[]string{"trace", "OTEL_RESOURCE_ATTRIBUTES"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args, names := tracesOf(t, tt.values...)
			if diff := cmp.Diff(tt.args, args); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.names, names); diff != "" {
				t.Error(diff)
			}
		})
	}
}
