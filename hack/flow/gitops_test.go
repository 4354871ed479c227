package flow_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gvk "k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// syncs is how often a GitOps tool comes by with the same manifests; twice shows as much on the way to something else.
const syncs, twice = 10, 2

// syncer is a way to apply manifests. Each has its own way to tell what differs from them.
type syncer struct {
	apply []string // arguments of kubectl apply
	diff  []string // of kubectl diff
	quiet string   // what the former prints of an object that it has nothing to do with
}

// clientSide is kubectl apply, Argo CD's default: a merge of three, by the annotation of what was applied last.
var clientSide = syncer{quiet: " unchanged"}

// serverSide applies as Flux does, and Argo CD with ServerSideApply=true. It forces nothing, so a conflict of field managers shows.
func serverSide(manager string) syncer {
	how := []string{"--server-side", "--field-manager=" + manager}
	return syncer{apply: how, diff: how, quiet: " serverside-applied"}
}

func syncers() map[string]syncer {
	return map[string]syncer{"client": clientSide, "server": serverSide("kustomize-controller")}
}

// kubectl runs the program that is beside the API server.
func kubectl(t *testing.T, kubeconfig, stdin string, args ...string) (string, error) {
	t.Helper()
	name := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	cmd := exec.CommandContext(t.Context(), name, append(args, "--kubeconfig", kubeconfig)...)
	cmd.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return string(out) + said.String(), err
}

// sync applies a manifest once.
func (s syncer) sync(t *testing.T, kubeconfig, manifest string) string {
	t.Helper()
	out, err := kubectl(t, kubeconfig, manifest, append([]string{"apply", "-f", "-"}, s.apply...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// settled fails unless nothing differs from the manifest, and applying it again and again changes no object.
func (s syncer) settled(t *testing.T, kubeconfig, manifest string, times int, state func() map[string]string) {
	t.Helper()
	var out string
	var err error
	poll(t, func() bool { // kubectl reads an object and then tries to apply it: a status that is written in between is a difference, once
		out, err = kubectl(t, kubeconfig, manifest, append([]string{"diff", "-f", "-"}, s.diff...)...)
		return err == nil
	})
	if err != nil {
		t.Errorf("it differs from what was applied: %v\n%s", err, out)
	}
	before := state()
	for range times {
		for line := range strings.Lines(s.sync(t, kubeconfig, manifest)) {
			// kubectl sends the selector of a PodDisruptionBudget each time, since its patch strategy is to replace; that it changes nothing is seen below.
			if !strings.HasSuffix(strings.TrimSpace(line), s.quiet) && !strings.HasPrefix(line, "Warning: ") && !strings.HasPrefix(line, "poddisruptionbudget.policy/") {
				t.Errorf("there was something to apply: %s", line)
			}
		}
	}
	for name, version := range state() {
		if before[name] != version {
			t.Errorf("%s was written to: %s, and before %s", name, version, before[name])
		}
	}
}

// versions returns what tells whether objects were written to, and whether their specs were, by kind and name.
func versions(t *testing.T, c client.Client, namespace string, kinds ...gvk.GroupVersionKind) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, k := range kinds {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(k)
		if err := c.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			o := &list.Items[i]
			out[k.Kind+" "+o.Name] = fmt.Sprintf("version %s, generation %d", o.ResourceVersion, o.Generation)
		}
	}
	return out
}

var workloadKinds = []gvk.GroupVersionKind{
	{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "apps", Version: "v1", Kind: "StatefulSet"}, {Group: "apps", Version: "v1", Kind: "DaemonSet"},
	{Group: "batch", Version: "v1", Kind: "CronJob"}, {Group: "batch", Version: "v1", Kind: "Job"},
}

// workloadsOf returns manifests of a workload of each kind, with annotations as YAML.
func workloadsOf(namespace, annotations string) string {
	const template = `{metadata: {labels: {app: orders}}, spec: {RESTART containers: [{name: app, image: app, ports: [{containerPort: 8080}]}]}}`
	served := strings.Replace(template, "RESTART ", "", 1)
	once := strings.Replace(template, "RESTART ", "restartPolicy: Never, ", 1)
	selector := "selector: {matchLabels: {app: orders}}, template: " + served
	var out strings.Builder
	for _, k := range workloadKinds {
		spec := map[string]string{
			"Deployment": "{replicas: 2, " + selector + "}", "StatefulSet": "{serviceName: orders, " + selector + "}", "DaemonSet": "{" + selector + "}",
			"CronJob": `{schedule: "0 3 * * *", jobTemplate: {spec: {template: ` + once + "}}}", "Job": "{template: " + once + "}",
		}[k.Kind]
		fmt.Fprintf(&out, "---\napiVersion: %s\nkind: %s\nmetadata: {name: orders, namespace: %s, annotations: %s}\nspec: %s\n",
			k.GroupVersion(), k.Kind, namespace, annotations, spec)
	}
	return out.String()
}

// said returns what the pod template of a workload says of the sidecar.
func said(t *testing.T, namespace, kind string) map[string]string {
	t.Helper()
	for _, k := range workloadKinds {
		if k.Kind != kind {
			continue
		}
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(k)
		if err := world.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "orders"}, o); err != nil {
			t.Fatal(err)
		}
		path := []string{"spec", "template", "metadata", "annotations"}
		if kind == "CronJob" {
			path = append([]string{"spec", "jobTemplate"}, path...)
		}
		out, _, err := unstructured.NestedStringMap(o.Object, path...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	t.Fatal("no kind " + kind)
	return nil
}

// What is written beside what git says, the annotations in pod templates, is no drift, and git is followed whatever way it goes.
func TestWorkloadsDoNotDrift(t *testing.T) {
	for name, s := range syncers() {
		t.Run(name, func(t *testing.T) {
			ns := newNamespace(t)
			state := func() map[string]string { return versions(t, world.client, ns, workloadKinds...) }
			for _, step := range []struct {
				what, annotations string
				want              map[string]string // in the template
			}{
				{"git asks for the sidecar", `{bearerguard.dev/inject: enabled, bearerguard.dev/exclude-ports: "9000", example.com/team: shop}`, map[string]string{"inject": "enabled", "exclude-ports": "9000"}},
				{"git changes a value", `{bearerguard.dev/inject: enabled, bearerguard.dev/exclude-ports: "9100", example.com/team: shop}`, map[string]string{"inject": "enabled", "exclude-ports": "9100"}},
				{"git takes an annotation away", `{bearerguard.dev/inject: enabled}`, map[string]string{"inject": "enabled"}},
				{"git takes the sidecar out", `{bearerguard.dev/inject: disabled}`, map[string]string{"inject": "disabled"}},
				{"git says nothing of it any more", `{}`, nil},
				{"git asks again", `{bearerguard.dev/inject: enabled}`, map[string]string{"inject": "enabled"}},
				{"git forgets to say it: the guard stays until git says disabled", `{}`, map[string]string{"inject": "enabled"}},
				{"git says disabled", `{bearerguard.dev/inject: disabled}`, map[string]string{"inject": "disabled"}},
			} {
				times := twice
				if len(step.want) > 1 || step.annotations == "{}" {
					times = syncs
				}
				manifest := workloadsOf(ns, step.annotations)
				if _, err := kubectl(t, world.kubeconfig, "", "delete", "job", "orders", "-n", ns, "--ignore-not-found"); err != nil { // its template cannot change
					t.Fatal(err)
				}
				s.sync(t, world.kubeconfig, manifest)
				for _, k := range workloadKinds {
					got := said(t, ns, k.Kind)
					for key, value := range step.want {
						if k.Kind == "Job" && !strings.Contains(step.annotations, key) {
							continue // it is a new one each time, with no past
						}
						if got["bearerguard.dev/"+key] != value {
							t.Errorf("%s: the template of the %s says %v, want %v", step.what, k.Kind, got, step.want)
						}
					}
					if k.Kind != "Job" && len(got) != len(step.want) {
						t.Errorf("%s: the template of the %s says %v, want %v", step.what, k.Kind, got, step.want)
					}
				}
				s.settled(t, world.kubeconfig, manifest, times, state)
				if t.Failed() {
					t.Fatalf("after %s", step.what)
				}
			}
		})
	}
}

// What controllers of Kubernetes write meanwhile is neither lost nor a cause of drift.
func TestAWorkloadThatOthersWriteToDoesNotDrift(t *testing.T) {
	for name, s := range syncers() {
		t.Run(name, func(t *testing.T) {
			ns := newNamespace(t)
			manifest := workloadsOf(ns, "{bearerguard.dev/inject: enabled}")
			s.sync(t, world.kubeconfig, manifest)
			if _, err := kubectl(t, world.kubeconfig, "", "annotate", "deployment/orders", "-n", ns, "deployment.kubernetes.io/revision=1", "--field-manager=kube-controller-manager"); err != nil {
				t.Fatal(err)
			}
			if _, err := kubectl(t, world.kubeconfig, "", "rollout", "restart", "deployment/orders", "-n", ns); err != nil {
				t.Fatal(err)
			}
			s.settled(t, world.kubeconfig, manifest, twice, func() map[string]string { return versions(t, world.client, ns, workloadKinds...) })
			if got := said(t, ns, "Deployment"); got["bearerguard.dev/inject"] != "enabled" || got["kubectl.kubernetes.io/restartedAt"] == "" {
				t.Errorf("the template says %v", got)
			}
		})
	}
}

// Objects that are applied by kubectl and then server-side, as when a team moves to GitOps, go on as they were.
func TestTheToolCanChange(t *testing.T) {
	ns := newNamespace(t)
	enabled, disabled := workloadsOf(ns, `{bearerguard.dev/inject: enabled, bearerguard.dev/exclude-ports: "9000"}`), workloadsOf(ns, `{bearerguard.dev/inject: enabled}`)
	clientSide.sync(t, world.kubeconfig, enabled)
	next := serverSide("kustomize-controller")
	next.sync(t, world.kubeconfig, enabled)
	if _, err := kubectl(t, world.kubeconfig, "", "delete", "job", "orders", "-n", ns); err != nil {
		t.Fatal(err)
	}
	next.apply = append(next.apply, "--force-conflicts") // as both tools do
	next.sync(t, world.kubeconfig, disabled)
	next.settled(t, world.kubeconfig, disabled, syncs, func() map[string]string { return versions(t, world.client, ns, workloadKinds...) })
}

// Policies, and what else people write of the project, do not drift by what their schemas give a default or the controller writes into their statuses.
func TestPoliciesDoNotDrift(t *testing.T) {
	text, err := os.ReadFile("testdata/gitops.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := []gvk.GroupVersionKind{
		v1alpha1.GroupVersion.WithKind("AuthPolicy"), v1alpha1.GroupVersion.WithKind("TokenRevocation"), v1alpha1.GroupVersion.WithKind("RevocationSource"),
	}
	for name, s := range syncers() {
		t.Run(name, func(t *testing.T) {
			ns := newNamespace(t)
			manifest := strings.ReplaceAll(string(text), "metadata: {name:", "metadata: {namespace: "+ns+", name:")
			s.sync(t, world.kubeconfig, manifest)
			// Of none of these is anything to come that would be written: there are no such Secrets, and no pods.
			p := &v1alpha1.AuthPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "orders"}}
			eventually(t, "conditions", func() string { return conditions(t, p) }, "Ready=False")
			r := &v1alpha1.RevocationSource{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "corp"}}
			eventually(t, "conditions of the source", sourceConditions(t, r), "Programmed=True")
			state := func() map[string]string {
				out := versions(t, world.client, ns, kinds...)
				for name, version := range out { // statuses are the controller's to write
					_, out[name], _ = strings.Cut(version, ", ")
				}
				return out
			}
			s.settled(t, world.kubeconfig, manifest, syncs, state)
			// What git takes away is gone, and a default comes back.
			audit := strings.Replace(manifest, "spec:\n  selector", "spec:\n  mode: Audit\n  selector", 1)
			for _, step := range []struct{ manifest, want string }{{audit, "Audit"}, {manifest, "Enforce"}} {
				s.sync(t, world.kubeconfig, step.manifest)
				if err := world.client.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
					t.Fatal(err)
				}
				if string(p.Spec.Mode) != step.want {
					t.Errorf("mode %s, want %s", p.Spec.Mode, step.want)
				}
				s.settled(t, world.kubeconfig, step.manifest, twice, state)
			}
		})
	}
}
