package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/clustercheck"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/tunnel"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// looking finds out about a cluster.
type looking struct {
	flags     *checkClusterFlags
	now       func() time.Time
	config    *rest.Config
	client    client.Client
	clients   kubernetes.Interface
	namespace string // where objects are tried
}

func newLooking(f *checkClusterFlags, now func() time.Time) (*looking, error) {
	l := &looking{flags: f, now: now}
	var err error
	if l.config, err = f.cluster.Config(); err != nil {
		return nil, err
	}
	if l.namespace, err = f.cluster.Namespace(); err != nil {
		return nil, err
	}
	scheme, err := cluster.Scheme()
	if err != nil {
		return nil, err
	}
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if _, err = f.cluster.Client(); err != nil { // it also silences the library's logger
		return nil, err
	}
	if l.client, err = client.New(l.config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	l.clients, err = kubernetes.NewForConfig(l.config)
	return l, err
}

// facts finds out everything. The error is that nobody answers; all else is a fact that is not known.
func (l *looking) facts(ctx context.Context, progress *output.Progress) (clustercheck.Facts, error) {
	f := clustercheck.Facts{Pre: l.flags.pre, Now: l.now(), CLI: versionText(), Namespace: l.flags.namespace}
	info, err := l.clients.Discovery().ServerVersion()
	if err != nil {
		return f, fmt.Errorf("ask the API server for its version: %w", err)
	}
	f.Server.Value = info.GitVersion
	f.Skew, f.Uncertain = l.clock(ctx)
	f.Nodes = l.nodes(ctx)
	f.CRDs = l.definitions(ctx)
	f.Controllers = l.controllers(ctx)
	if all := f.Controllers.Value; len(all) > 0 && !f.Pre {
		f.Namespace = all[0].Namespace
	}
	progress.Step("asking about rights")
	f.Subject, f.Rights = l.rights(ctx, &f)
	progress.Step("looking at namespaces and pods")
	pods := l.pods(ctx)
	f.Namespaces = l.namespaces(ctx, pods)
	f.Sidecars = l.sidecars(ctx, pods)
	if f.Pre {
		return f, nil
	}
	progress.Step("looking at webhooks")
	f.Webhooks = l.webhooks(ctx)
	f.Backends = l.backends(ctx, f.Webhooks.Value)
	f.Serving = l.serving(ctx)
	progress.Step("trying a policy and a pod")
	f.Policy, f.Pod = l.tryPolicy(ctx), l.tryPod(ctx)
	return f, nil
}

// known is a fact, or why it is not known.
func known[T any](value T, err error) clustercheck.Known[T] {
	if err == nil {
		return clustercheck.Known[T]{Value: value}
	}
	text := err.Error()
	if apierrors.IsForbidden(err) {
		text = "you may not look (" + short(text) + ")"
	}
	return clustercheck.Known[T]{Unknown: output.Clean(text), Blocked: apierrors.IsForbidden(err)}
}

// short is what a refusal says of the right that is missing.
func short(text string) string {
	if i := strings.Index(text, "cannot "); i >= 0 {
		return text[i:]
	}
	return text
}

// clock compares the API server's clock with ours, by the Date of an answer, which is in whole seconds.
func (l *looking) clock(ctx context.Context) (clustercheck.Known[time.Duration], time.Duration) {
	fail := func(err error) (clustercheck.Known[time.Duration], time.Duration) {
		return known(time.Duration(0), err), 0
	}
	c, err := rest.HTTPClientFor(l.config)
	if err != nil {
		return fail(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(l.config.Host, "/")+"/version", http.NoBody)
	if err != nil {
		return fail(err)
	}
	before := l.now()
	response, err := c.Do(r)
	if err != nil {
		return fail(err)
	}
	after := l.now()
	_ = response.Body.Close()
	at, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return fail(fmt.Errorf("its answer has no date: %w", err))
	}
	took := after.Sub(before)
	middle := before.Add(took / 2)
	return known(at.Add(500*time.Millisecond).Sub(middle), nil), took/2 + 500*time.Millisecond
}

func (l *looking) nodes(ctx context.Context) clustercheck.Known[[]clustercheck.Node] {
	var list corev1.NodeList
	err := l.client.List(ctx, &list)
	var out []clustercheck.Node
	for i := range list.Items {
		n := list.Items[i].Status.NodeInfo
		out = append(out, clustercheck.Node{Name: list.Items[i].Name, OS: n.OperatingSystem, Arch: n.Architecture, Kubelet: n.KubeletVersion, Kernel: n.KernelVersion})
	}
	if err == nil && len(out) == 0 {
		return clustercheck.Known[[]clustercheck.Node]{Unknown: "there are none"}
	}
	return known(out, err)
}

func (l *looking) definitions(ctx context.Context) clustercheck.Known[[]apiextensionsv1.CustomResourceDefinition] {
	var list apiextensionsv1.CustomResourceDefinitionList
	err := l.client.List(ctx, &list)
	return known(list.Items, err)
}

func (l *looking) controllers(ctx context.Context) clustercheck.Known[[]clustercheck.Controller] {
	var list appsv1.DeploymentList
	err := l.client.List(ctx, &list, client.MatchingLabels{"app.kubernetes.io/name": "bearerguard"})
	if apierrors.IsForbidden(err) {
		err = l.client.List(ctx, &list, client.MatchingLabels{"app.kubernetes.io/name": "bearerguard"}, client.InNamespace(l.flags.namespace))
	}
	var out []clustercheck.Controller
	for i := range list.Items {
		d := &list.Items[i]
		if d.Spec.Template.Labels["app.kubernetes.io/component"] != "controller" {
			continue
		}
		c := clustercheck.Controller{Namespace: d.Namespace, Version: d.Labels["app.kubernetes.io/version"], Wanted: 1, Ready: d.Status.ReadyReplicas}
		if d.Spec.Replicas != nil {
			c.Wanted = *d.Spec.Replicas
		}
		out = append(out, c)
	}
	return known(out, err)
}

// mostPods is how many pods with sidecars are looked at.
const mostPods = 5000

func (l *looking) pods(ctx context.Context) clustercheck.Known[[]corev1.Pod] {
	var list corev1.PodList
	err := l.client.List(ctx, &list, client.MatchingLabels{v1alpha1.LabelInjected: "true"}, client.Limit(mostPods))
	return known(list.Items, err)
}

func (l *looking) namespaces(ctx context.Context, pods clustercheck.Known[[]corev1.Pod]) clustercheck.Known[[]clustercheck.Namespace] {
	var list corev1.NamespaceList
	if err := l.client.List(ctx, &list); err != nil {
		return known[[]clustercheck.Namespace](nil, err)
	}
	with, redirected := map[string]int{}, map[string]bool{}
	for i := range pods.Value {
		p := &pods.Value[i]
		with[p.Namespace]++
		for n := range p.Spec.InitContainers {
			if p.Spec.InitContainers[n].Name == inject.CaptureName {
				redirected[p.Namespace] = true
			}
		}
	}
	var out []clustercheck.Namespace
	for i := range list.Items {
		ns := &list.Items[i]
		asks := ns.Labels[v1alpha1.LabelInject] == "enabled" || ns.Labels[v1alpha1.LabelEnforce] == "true"
		out = append(out, clustercheck.Namespace{
			Name: ns.Name, Level: ns.Labels["pod-security.kubernetes.io/enforce"], Asks: asks, Pods: with[ns.Name],
			Redirects: redirected[ns.Name] || asks && ns.Annotations[v1alpha1.AnnotationCapture] != "ports",
		})
	}
	return known(out, nil)
}

// mostClocks is how many sidecars are asked for their clocks.
const mostClocks = 5

func (l *looking) sidecars(ctx context.Context, pods clustercheck.Known[[]corev1.Pod]) clustercheck.Known[[]clustercheck.Sidecar] {
	if pods.Unknown != "" {
		return clustercheck.Known[[]clustercheck.Sidecar]{Unknown: pods.Unknown, Blocked: pods.Blocked}
	}
	var out []clustercheck.Sidecar
	asked := 0
	for i := range pods.Value {
		p := &pods.Value[i]
		release, _, _ := strings.Cut(p.Annotations[v1alpha1.AnnotationInjected], "@")
		s := clustercheck.Sidecar{Namespace: p.Namespace, Pod: p.Name, Version: release}
		if running, _ := cluster.SidecarOf(p); running && asked < mostClocks {
			asked++
			before := l.now()
			if state, err := admin.State(ctx, l.config, p, time.Minute); err == nil {
				skew := state.Time.Sub(before.Add(l.now().Sub(before) / 2))
				s.Skew, s.Version = &skew, state.Version
			}
		}
		out = append(out, s)
	}
	return known(out, nil)
}

func (l *looking) webhooks(ctx context.Context) clustercheck.Known[[]clustercheck.Webhook] {
	var mutating admissionv1.MutatingWebhookConfigurationList
	var validating admissionv1.ValidatingWebhookConfigurationList
	labels := client.MatchingLabels{"app.kubernetes.io/name": "bearerguard"}
	if err := l.client.List(ctx, &mutating, labels); err != nil {
		return known[[]clustercheck.Webhook](nil, err)
	}
	if err := l.client.List(ctx, &validating, labels); err != nil {
		return known[[]clustercheck.Webhook](nil, err)
	}
	var out []clustercheck.Webhook
	add := func(kind, configuration, name string, c *admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType) {
		w := clustercheck.Webhook{Kind: kind, Configuration: configuration, Name: name, CA: c.CABundle, Ignore: policy != nil && *policy == admissionv1.Ignore}
		if c.Service != nil {
			w.Service = c.Service.Namespace + "/" + c.Service.Name
		}
		out = append(out, w)
	}
	for i := range mutating.Items {
		for n := range mutating.Items[i].Webhooks {
			w := &mutating.Items[i].Webhooks[n]
			add("MutatingWebhookConfiguration", mutating.Items[i].Name, w.Name, &w.ClientConfig, w.FailurePolicy)
		}
	}
	for i := range validating.Items {
		for n := range validating.Items[i].Webhooks {
			w := &validating.Items[i].Webhooks[n]
			add("ValidatingWebhookConfiguration", validating.Items[i].Name, w.Name, &w.ClientConfig, w.FailurePolicy)
		}
	}
	return known(out, nil)
}

// backends counts the endpoints that are ready behind the Services of webhooks.
func (l *looking) backends(ctx context.Context, webhooks []clustercheck.Webhook) clustercheck.Known[map[string]int] {
	out := map[string]int{}
	for _, w := range webhooks {
		if _, ok := out[w.Service]; ok || w.Service == "" {
			continue
		}
		namespace, name, _ := strings.Cut(w.Service, "/")
		var slices discoveryv1.EndpointSliceList
		if err := l.client.List(ctx, &slices, client.InNamespace(namespace), client.MatchingLabels{discoveryv1.LabelServiceName: name}); err != nil {
			return known[map[string]int](nil, err)
		}
		out[w.Service] = 0
		for i := range slices.Items {
			for _, e := range slices.Items[i].Endpoints {
				if e.Conditions.Ready == nil || *e.Conditions.Ready {
					out[w.Service] += len(e.Addresses)
				}
			}
		}
	}
	return known(out, nil)
}

// webhookPort is where the controller serves its webhooks.
const webhookPort = 9443

// serving looks at the certificate that a controller shows, by port-forward. Its Secret is not read: it has keys.
func (l *looking) serving(ctx context.Context) clustercheck.Known[[]*x509.Certificate] {
	pods, err := cluster.Controllers(ctx, l.client)
	if err == nil && len(pods) == 0 {
		err = fmt.Errorf("there is no controller to ask")
	}
	if err != nil {
		return known[[]*x509.Certificate](nil, err)
	}
	conn, err := tunnel.Dial(ctx, l.config, types.NamespacedName{Namespace: pods[0].Namespace, Name: pods[0].Name}, webhookPort)
	if err != nil {
		return known[[]*x509.Certificate](nil, err)
	}
	defer func() { _ = conn.Close() }()
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // whom it trusts is looked at by clustercheck
	if err := secure.HandshakeContext(ctx); err != nil {
		return known[[]*x509.Certificate](nil, err)
	}
	return known(secure.ConnectionState().PeerCertificates, nil)
}

// rights asks about what is needed: for an installation what the user may do, afterwards what the controller may.
func (l *looking) rights(ctx context.Context, f *clustercheck.Facts) (string, clustercheck.Known[[]clustercheck.Right]) {
	subject, ask := "you", l.mayI
	wanted := clustercheck.ToInstall(f.Namespace)
	if !f.Pre {
		subject = "system:serviceaccount:" + f.Namespace + ":bearerguard-controller"
		wanted = clustercheck.OfController(f.Namespace)
		ask = func(ctx context.Context, a *authorizationv1.ResourceAttributes) (bool, error) {
			return l.may(ctx, subject, a)
		}
	}
	for i := range wanted {
		r := &wanted[i]
		resource, group, _ := strings.Cut(r.Resource, ".")
		resource, sub, _ := strings.Cut(resource, "/")
		allowed, err := ask(ctx, &authorizationv1.ResourceAttributes{Verb: r.Verb, Group: group, Resource: resource, Subresource: sub, Name: r.Name, Namespace: r.Namespace})
		if err != nil {
			return subject, known[[]clustercheck.Right](nil, err)
		}
		r.Allowed = allowed
	}
	return subject, known(wanted, nil)
}

func (l *looking) mayI(ctx context.Context, a *authorizationv1.ResourceAttributes) (bool, error) {
	r := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: a}}
	err := l.client.Create(ctx, r)
	return r.Status.Allowed, err
}

func (l *looking) may(ctx context.Context, user string, a *authorizationv1.ResourceAttributes) (bool, error) {
	groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + strings.Split(user, ":")[2], "system:authenticated"}
	r := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: a}}
	err := l.client.Create(ctx, r)
	return r.Status.Allowed, err
}
