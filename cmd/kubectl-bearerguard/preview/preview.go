// Package preview says what admission would make of manifests, by the webhooks' own functions. It does no I/O: manifests come as
// bytes.
package preview

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// Options are what the cluster has.
type Options struct {
	// Inject is how its controller injects; its Namespace is set for each object.
	Inject inject.Config
	// Namespace is that of objects that name none. NamespaceLabels are those of each namespace that is not among the files.
	Namespace       string
	NamespaceLabels map[string]string
}

// Outcome is what became of one object.
type Outcome struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Result is Injected, Skipped, Refused, or Unconcerned for an object without pods.
	Result string `json:"result"`
	// Why is the reason of what was not injected, or the error of what was refused.
	Why string `json:"why,omitempty"`
	// Warnings are what kubectl would print.
	Warnings []string `json:"warnings,omitempty"`
	// Before and After are the object as YAML. A workload's template is shown as its pods will be.
	Before string `json:"-"`
	After  string `json:"-"`
}

// The results.
const (
	Injected    = "Injected"
	Skipped     = "Skipped"
	Refused     = "Refused"
	Unconcerned = "Unconcerned"
)

// Run returns what becomes of each object, in order. The error is about files that cannot be read.
func Run(files []manifest.File, o Options) ([]Outcome, error) {
	var objects []map[string]any
	for _, f := range files {
		found, err := documents(f.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		objects = append(objects, found...)
	}
	namespaces := map[string]inject.Namespace{}
	for _, object := range objects {
		typed, err := typedOf(object)
		if err != nil {
			return nil, err
		}
		if ns, ok := typed.(*corev1.Namespace); ok {
			namespaces[ns.Name] = inject.Namespace{Name: ns.Name, Labels: ns.Labels, Annotations: ns.Annotations}
		}
	}
	var out []Outcome
	for _, object := range objects {
		one, err := o.admit(object, namespaces)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// documents reads a stream of YAML documents, and the items of Lists.
func documents(data []byte) (out []map[string]any, err error) {
	for r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		text, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		var object map[string]any
		if err := yaml.Unmarshal(output.JSONForYAML(text), &object); err != nil {
			return nil, err
		}
		out = append(out, items(object)...)
	}
}

// items returns the items of a List, the object itself, or nothing for an empty document.
func items(object map[string]any) (out []map[string]any) {
	list, isList := object["items"].([]any)
	switch {
	case len(object) == 0:
		return nil
	case !isList:
		return []map[string]any{object}
	}
	for _, item := range list {
		if one, ok := item.(map[string]any); ok {
			out = append(out, items(one)...)
		}
	}
	return out
}

// typedOf returns an object of Kubernetes as its type; nil for any other.
func typedOf(object map[string]any) (runtime.Object, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	typed, _, err := scheme.Codecs.UniversalDeserializer().Decode(text, nil, nil)
	if runtime.IsNotRegisteredError(err) {
		return nil, nil //nolint:nilnil // of no concern
	}
	return typed, err
}

func (o Options) admit(object map[string]any, namespaces map[string]inject.Namespace) (Outcome, error) {
	before, err := output.MarshalYAML(object)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Result: Unconcerned, Before: string(before), After: string(before)}
	out.Kind, _ = object["kind"].(string)
	meta, _ := object["metadata"].(map[string]any)
	out.Name, _ = meta["name"].(string)
	if out.Name == "" {
		out.Name, _ = meta["generateName"].(string)
	}
	typed, err := typedOf(object)
	if err != nil {
		return out, err
	}
	pod, isPod := typed.(*corev1.Pod)
	w, isWorkload := inject.WorkloadOf(typed)
	if !isPod && !isWorkload {
		return out, nil
	}
	if out.Namespace, _ = meta["namespace"].(string); out.Namespace == "" {
		out.Namespace = o.Namespace
	}
	ns, known := namespaces[out.Namespace]
	if !known {
		ns = inject.Namespace{Name: out.Namespace, Labels: o.NamespaceLabels}
	}
	cfg := o.Inject.In(ns)
	if out.Before, err = text(typed); err != nil { // as the API server has it, so that the two compare
		return out, err
	}
	if isPod {
		result, err := injected(pod, cfg)
		if out.note(result, err) {
			typed = result.Pod
		}
	} else {
		out.admitWorkload(w, cfg)
	}
	out.After, err = text(typed)
	return out, err
}

// admitWorkload copies a workload's annotations into its template, and shows there what its pods will be.
func (out *Outcome) admitWorkload(w inject.Workload, cfg inject.Config) {
	if metav1.GetControllerOf(w) != nil {
		out.Result, out.Why = Skipped, "another object owns it, whose template counts"
		return
	}
	warnings, err := inject.CopyToTemplate(w)
	if err != nil {
		out.note(inject.Result{}, err)
		return
	}
	pod := &corev1.Pod{ObjectMeta: *w.Template.ObjectMeta.DeepCopy(), Spec: *w.Template.Spec.DeepCopy()}
	result, err := injected(pod, cfg)
	if out.note(result, err) {
		w.Template.ObjectMeta, w.Template.Spec = result.Pod.ObjectMeta, result.Pod.Spec
	}
	out.Warnings = append(warnings, out.Warnings...)
}

// injected injects a pod, and holds it against its namespace where that takes no pod without a sidecar.
func injected(pod *corev1.Pod, cfg inject.Config) (inject.Result, error) {
	result, err := inject.Inject(pod, cfg)
	if err == nil && cfg.Namespace.Labels[v1alpha1.LabelEnforce] == "true" {
		err = inject.Verify(result.Pod, cfg)
	}
	return result, err
}

// note takes down what became of a pod, and reports whether it has the sidecar.
func (out *Outcome) note(r inject.Result, err error) bool {
	switch out.Warnings = r.Warnings; {
	case err != nil:
		out.Result, out.Why = Refused, err.Error()
	case r.Injected():
		out.Result = Injected
	default:
		out.Result, out.Why = Skipped, r.Reason.Sentence()
	}
	return out.Result == Injected
}

// text is an object as YAML, without its status.
func text(object runtime.Object) (string, error) {
	members, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return "", err
	}
	delete(members, "status")
	out, err := output.MarshalYAML(members)
	return string(out), err
}
