package webhook_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

const injectKey = v1alpha1.AnnotationInject

var asked = map[string]string{injectKey: "enabled"}

func podOf(namespace string, labels, annotations map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "p-", Namespace: namespace, Labels: labels, Annotations: annotations},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: "app", Image: "example.test/app:1",
				Ports:          []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 9090}}},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		},
	}
}

func templateOf(annotations map[string]string) corev1.PodTemplateSpec {
	p := podOf("", map[string]string{"app": "a"}, annotations)
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.Labels, Annotations: annotations}, Spec: p.Spec}
}

func deploymentOf(namespace string, own, template map[string]string) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "d-", Namespace: namespace, Annotations: own},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}, Template: templateOf(template)},
	}
}

func jobOf(namespace string, own map[string]string) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{GenerateName: "j-", Namespace: namespace, Annotations: own}, Spec: batchv1.JobSpec{Template: templateOf(nil)}}
	j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	return j
}

func cronJobOf(namespace string, template map[string]string) *batchv1.CronJob {
	j := jobOf("", nil)
	j.Spec.Template.Annotations = template
	return &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{GenerateName: "c-", Namespace: namespace},
		Spec: batchv1.CronJobSpec{Schedule: "* * * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: j.Spec}}}
}

// The whole of admission on a real API server: first with nobody to answer, then with the controller.
func TestAdmission(t *testing.T) {
	c := startCluster(t)
	c.namespace(t, "plain", nil)
	c.namespace(t, "labelled", map[string]string{v1alpha1.LabelInject: "enabled"})
	c.namespace(t, "disabled", map[string]string{v1alpha1.LabelInject: "disabled"})
	c.namespace(t, "malformed", map[string]string{v1alpha1.LabelInject: "yes"})
	c.namespace(t, "restricted", map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	c.namespace(t, "enforced", map[string]string{v1alpha1.LabelEnforce: "true", v1alpha1.LabelInject: "enabled"})
	c.namespace(t, "strange", map[string]string{v1alpha1.LabelEnforce: "yes"})
	c.namespace(t, "system-check", nil)
	c.namespace(t, "dry", nil)
	c.namespace(t, "kube-system", map[string]string{v1alpha1.LabelInject: "enabled"})
	if c.authorityOf(t) != "" {
		t.Fatal("somebody else sets the authority")
	}
	t.Run("without the controller", c.withoutController)
	c.startController(t)
	t.Run("pods", c.pods)
	t.Run("pod security", c.podSecurity)
	t.Run("workloads", c.workloads)
	t.Run("workloads keep their guard", c.guardsKept)
	t.Run("policies", c.policies)
	t.Run("namespaces", c.namespaces)
	t.Run("enforced namespaces", c.enforced)
	t.Run("a revision that nobody has installed", c.ofNobody)
	t.Run("without webhook configurations", c.withoutConfigurations)
	t.Run("workloads without webhook configurations", c.workloadsWithoutConfigurations)
	t.Run("enforced namespaces without webhook configurations", c.enforcedWithoutConfigurations)
}

// withoutController holds that only those wait for the webhook that ask for a sidecar.
func (c *cluster) withoutController(t *testing.T) {
	hostNetwork := podOf("labelled", nil, nil)
	hostNetwork.Spec.HostNetwork = true
	owned := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{GenerateName: "r-", Namespace: "plain", Annotations: asked,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "d", UID: "u", Controller: new(true)}}},
		Spec: appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}, Template: templateOf(asked)}}
	for name, tc := range map[string]struct {
		object  client.Object
		refused bool
	}{
		"a pod that asks nothing":                      {podOf("plain", nil, nil), false},
		"one with annotations of others":               {podOf("plain", map[string]string{"a": "b"}, map[string]string{"example.test/a": "b"}), false},
		"one that says disabled":                       {podOf("labelled", nil, map[string]string{injectKey: "disabled"}), false},
		"one in a namespace that says disabled":        {podOf("disabled", nil, nil), false},
		"one on the node's network, not guardable":     {hostNetwork, true},
		"one of the cluster itself":                    {podOf("kube-system", nil, nil), false},
		"one of the cluster that asks":                 {podOf("kube-system", nil, asked), false},
		"one of the control plane":                     {podOf(system, nil, asked), false},
		"a pod that asks":                              {podOf("plain", nil, asked), true},
		"one that asks where the namespace says no":    {podOf("disabled", nil, asked), true},
		"one whose annotation has a typo":              {podOf("plain", nil, map[string]string{"bearerguard.dev/injcet": "enabled"}), true},
		"one that asks by label":                       {podOf("plain", asked, nil), true},
		"one whose namespace asks":                     {podOf("labelled", nil, nil), true},
		"one whose namespace asks in a strange way":    {podOf("malformed", nil, nil), true},
		"one that claims to be injected":               {podOf("labelled", nil, map[string]string{v1alpha1.AnnotationInjected: "v1"}), true},
		"a deployment that asks nothing":               {deploymentOf("plain", nil, nil), false},
		"one that asks":                                {deploymentOf("plain", asked, nil), true},
		"one whose template asks":                      {deploymentOf("plain", nil, asked), true},
		"a replica set of a deployment":                {owned, false},
		"a job that asks nothing":                      {jobOf("plain", nil), false},
		"a job that asks":                              {jobOf("plain", asked), true},
		"a cron job that asks nothing":                 {cronJobOf("plain", nil), false},
		"a cron job whose template asks":               {cronJobOf("plain", asked), true},
		"a policy, which nobody could check":           {&v1alpha1.AuthPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "plain"}}, true},
		"a revocation, which nobody could check":       {&v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Name: "r", Namespace: "plain"}}, true},
		"a namespace with defaults":                    {&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "d", Annotations: map[string]string{"bearerguard.dev/drain": "x"}}}, false},
		"a deployment that asks, of the control plane": {deploymentOf(system, asked, nil), false},
	} {
		err := c.Create(t.Context(), tc.object, client.DryRunAll)
		if r, ok := tc.object.(*v1alpha1.TokenRevocation); ok && apierrors.IsInvalid(err) {
			r.Spec.Issuer = "https://a.test"
			r.Spec.Entries = append(r.Spec.Entries, revokedEntry())
			err = c.Create(t.Context(), r, client.DryRunAll)
		}
		if (err != nil) != tc.refused {
			t.Errorf("%s: refused %v, want %v: %v", name, err != nil, tc.refused, err)
		}
		if err != nil && !strings.Contains(err.Error(), "failed calling webhook") {
			t.Errorf("%s: refused for another reason: %v", name, err)
		}
	}
}

func (c *cluster) pods(t *testing.T) {
	pod := podOf("plain", nil, asked)
	if err := c.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if len(pod.Spec.Containers[0].VolumeMounts) == 0 {
		t.Error("the app has no API token, so that the sidecar has none shows nothing")
	}
	names := []string{}
	for _, i := range pod.Spec.InitContainers {
		names = append(names, i.Name)
		for _, m := range i.VolumeMounts {
			if strings.HasPrefix(m.Name, "kube-api-access") {
				t.Errorf("%s has the pod's API token", i.Name)
			}
		}
	}
	if diff := cmp.Diff([]string{inject.CaptureName, inject.SidecarName}, names); diff != "" {
		t.Fatalf("init containers (-want +got):\n%s", diff)
	}
	again, err := inject.Inject(pod, injectConfig().In(inject.Namespace{Name: "plain"}))
	if err != nil || again.Reason != inject.AlreadyInjected {
		t.Errorf("the stored pod, injected again: %s, %v; its defaults differ:\n%s", again.Reason, err, cmp.Diff(pod, again.Pod))
	}
	key := client.ObjectKey{Namespace: "plain", Name: inject.CAConfigMap}
	if err := c.Get(t.Context(), key, &corev1.ConfigMap{}); err != nil {
		t.Errorf("the authority was not there when the pod was admitted: %v", err)
	}
	if err := c.Create(t.Context(), podOf("labelled", nil, nil), client.DryRunAll); err != nil {
		t.Errorf("by namespace: %v", err)
	}
	if err := c.Create(t.Context(), podOf("dry", nil, asked), client.DryRunAll); err != nil {
		t.Errorf("dry run: %v", err)
	}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "dry", Name: inject.CAConfigMap}, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Errorf("a dry run published the authority: %v", err)
	}
	hostNetwork := podOf("labelled", nil, nil)
	hostNetwork.Spec.HostNetwork = true
	if err := c.Create(t.Context(), hostNetwork); err == nil || !strings.Contains(err.Error(), "spec.hostNetwork: the pod uses the node's network") {
		t.Errorf("got %v, want a pod on the node's network refused", err)
	}
	for namespace, want := range map[string]string{
		"plain":     `metadata.annotations[bearerguard.dev/injcet]: is not known; want one of`,
		"malformed": `metadata.labels[bearerguard.dev/inject] of namespace malformed: "yes" is neither; want enabled or disabled`,
	} {
		annotations := map[string]map[string]string{"plain": {"bearerguard.dev/injcet": "enabled"}}[namespace]
		if err := c.Create(t.Context(), podOf(namespace, nil, annotations)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it refused: %s", err, want)
		}
	}
}

// podSecurity holds that ports capture meets the restricted standard and that redirect capture is told by it.
func (c *cluster) podSecurity(t *testing.T) {
	ports := podOf("restricted", nil, map[string]string{injectKey: "enabled", v1alpha1.AnnotationCapture: "ports", v1alpha1.AnnotationPorts: "8080:18080"})
	if err := c.Create(t.Context(), ports); err != nil {
		t.Errorf("ports capture is not restricted: %v", err)
	}
	if err := c.Create(t.Context(), podOf("restricted", nil, asked)); err == nil || !strings.Contains(err.Error(), "NET_ADMIN") {
		t.Errorf("got %v, want redirect capture refused for NET_ADMIN", err)
	}
}

func (c *cluster) workloads(t *testing.T) {
	d := deploymentOf("plain", nil, nil)
	if err := c.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"enabled", "disabled", "enabled"} {
		c.annotate(t, d, `{"metadata":{"annotations":{"bearerguard.dev/inject":"`+value+`"}}}`)
		if got := d.Spec.Template.Annotations[injectKey]; got != value {
			t.Fatalf("template says %q, want %q", got, value)
		}
	}
	c.warnings.last = nil
	c.annotate(t, d, `{"metadata":{"annotations":{"bearerguard.dev/inject":null}}}`)
	if got := d.Spec.Template.Annotations[injectKey]; got != "enabled" {
		t.Errorf("taking the annotation away opened the app: template says %q", got)
	}
	if !slices.ContainsFunc(c.warnings.last, func(w string) bool { return strings.Contains(w, "say bearerguard.dev/inject=disabled") }) {
		t.Errorf("no warning that the guard stays: %q", c.warnings.last)
	}
	err := c.Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"bearerguard.dev/cpu":"lots"}}}`)))
	if err == nil || !strings.Contains(err.Error(), "metadata.annotations[bearerguard.dev/cpu]") {
		t.Errorf("got %v, want the annotation refused by name", err)
	}

	j := jobOf("plain", asked)
	if err := c.Create(t.Context(), j); err != nil || j.Spec.Template.Annotations[injectKey] != "enabled" {
		t.Errorf("job: %v, template %v", err, j.Spec.Template.Annotations)
	}
	late := jobOf("plain", nil)
	if err := c.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	c.annotate(t, late, `{"metadata":{"annotations":{"bearerguard.dev/inject":"enabled"}}}`)
	if err := c.Delete(t.Context(), j, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		t.Errorf("delete: %v", err)
	}
}

func (c *cluster) namespaces(t *testing.T) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "defaults", Annotations: map[string]string{"bearerguard.dev/idle-timeout": "soon"}}}
	const want = `metadata.annotations[bearerguard.dev/idle-timeout] of namespace defaults: "soon" is no duration`
	if err := c.Create(t.Context(), ns); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want it refused: %s", err, want)
	}
	mislabelled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mislabelled", Labels: map[string]string{v1alpha1.LabelInject: "true"}}}
	if err := c.Create(t.Context(), mislabelled); err == nil || !strings.Contains(err.Error(), `"true" is neither; want enabled or disabled`) {
		t.Errorf("got %v, want the label refused", err)
	}
	c.warnings.last = nil
	c.annotate(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "disabled"}}, `{"metadata":{"labels":{"bearerguard.dev/enforce":"true"}}}`)
	c.annotate(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "disabled"}}, `{"metadata":{"labels":{"bearerguard.dev/enforce":null}}}`)
	if !slices.ContainsFunc(c.warnings.last, func(w string) bool { return strings.Contains(w, "namespace disabled no longer enforces sidecars") }) {
		t.Errorf("no warning that pods may leave the guard out: %q", c.warnings.last)
	}
	ns.Annotations["bearerguard.dev/idle-timeout"] = "2m"
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	c.namespace(t, "defaults", nil)
	pod := podOf("defaults", nil, asked)
	if err := c.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if args := pod.Spec.InitContainers[1].Args; !slices.Contains(args, "--idle-timeout") || !slices.Contains(args, "2m") {
		t.Errorf("the namespace's default is not among %q", args)
	}
}

func (c *cluster) annotate(t *testing.T, o client.Object, patch string) {
	t.Helper()
	if err := c.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) policies(t *testing.T) {
	for _, file := range []string{"../../config/samples/authpolicy.yaml", "../../config/samples/tokenrevocation.yaml", "../../config/samples/revocationsource.yaml"} {
		c.createSample(t, file)
	}
	p := &v1alpha1.AuthPolicy{ObjectMeta: metav1.ObjectMeta{Name: "bad", Namespace: "plain"}}
	p.Spec.Issuers = policyIssuers()
	p.Spec.Rules = rulesWhen("path.user == claims.sub")
	if err := c.Create(t.Context(), p); err == nil || !strings.Contains(err.Error(), "spec.rules[0].allow.when") {
		t.Errorf("got %v, want the expression refused by its path", err)
	}
}

func (c *cluster) createSample(t *testing.T, file string) {
	t.Helper()
	for doc := range strings.SplitSeq(string(read(t, file)), "\n---\n") {
		var u unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		u.SetNamespace("plain")
		if err := c.Create(t.Context(), &u); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func revokedEntry() policy.RevocationEntry { return policy.RevocationEntry{JTI: "x"} }

func policyIssuers() []policy.Issuer {
	return []policy.Issuer{{Name: "a", Issuer: "https://a.test", Audiences: []string{"b"}, Keys: policy.KeySource{Discovery: &policy.Discovery{}}}}
}

func rulesWhen(when string) []policy.Rule {
	return []policy.Rule{{Name: "r", Match: []policy.Match{{Paths: []string{"/a/{id}"}}}, Allow: &policy.Allow{Conditions: policy.Conditions{When: when}}}}
}
