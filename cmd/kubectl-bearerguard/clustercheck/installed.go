package clustercheck

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

const install = "install the chart: helm install bearerguard ... ; docs/getting-started.md"

func controllers(f *Facts) []Line {
	if f.Controllers.Unknown != "" {
		return unknown(f.Controllers, "the controller")
	}
	all := f.Controllers.Value
	switch {
	case f.Pre && len(all) == 0:
		return []Line{ok("there is no controller yet")}
	case f.Pre:
		return []Line{warn("upgrade it (helm upgrade), or give the new release a revision of its own: docs/scale.md",
			"there is a controller already, in namespace %s, of release %s", all[0].Namespace, all[0].Version)}
	case len(all) == 0:
		return []Line{bad(install, "there is no controller")}
	}
	var out []Line
	for _, c := range all {
		text := fmt.Sprintf("%d of %d replicas ready in namespace %s, release %s", c.Ready, c.Wanted, c.Namespace, c.Version)
		hint := fmt.Sprintf("kubectl describe pods -n %s -l app.kubernetes.io/component=controller", c.Namespace)
		switch {
		case c.Wanted == 0:
			out = append(out, bad("kubectl scale -n "+c.Namespace+" deploy/bearerguard-controller --replicas 2", "scaled to 0 in namespace %s: pods that ask for a sidecar are refused", c.Namespace))
		case c.Ready == 0:
			out = append(out, bad(hint, "%s", text))
		case c.Ready < c.Wanted:
			out = append(out, warn(hint, "%s", text))
		default:
			out = append(out, ok("%s", text))
		}
	}
	return out
}

// kinds are the resources of our group that the controller cannot do without.
var kinds = []string{"authpolicies", "tokenrevocations", "revocationsources", "revocationchunks"}

func definitions(f *Facts) []Line {
	if f.CRDs.Unknown != "" {
		return unknown(f.CRDs, "the CustomResourceDefinitions")
	}
	found := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for i := range f.CRDs.Value {
		if c := &f.CRDs.Value[i]; c.Spec.Group == v1alpha1.GroupVersion.Group {
			found[c.Spec.Names.Plural] = c
		}
	}
	if f.Pre && len(found) == 0 {
		return []Line{ok("there are none yet; the chart makes them")}
	}
	var out []Line
	var missing []string
	for _, kind := range kinds {
		c := found[kind]
		if c == nil {
			missing = append(missing, kind)
			continue
		}
		out = append(out, definition(c)...)
	}
	if len(missing) > 0 {
		out = append(out, bad("install or upgrade the chart that makes them (bearerguard, or bearerguard-crds)", "the cluster has no CustomResourceDefinition of %s", few(missing)))
	}
	if len(out) == 0 {
		out = []Line{ok("all %d are there, and have the fields of release %s", len(kinds), f.CLI)}
	}
	return out
}

// definition says what is wrong with one; nothing if all is well.
func definition(c *apiextensionsv1.CustomResourceDefinition) []Line {
	const hint = "upgrade the chart that makes them (bearerguard, or bearerguard-crds), before the controller"
	i := slices.IndexFunc(c.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Name == v1alpha1.GroupVersion.Version && v.Served
	})
	if i < 0 {
		return []Line{bad(hint, "%s is not served as %s", c.Name, v1alpha1.GroupVersion.Version)}
	}
	if !slices.ContainsFunc(c.Status.Conditions, func(x apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return x.Type == apiextensionsv1.Established && x.Status == apiextensionsv1.ConditionTrue
	}) {
		return []Line{bad("kubectl describe crd "+c.Name, "%s is not established", c.Name)}
	}
	schema := c.Spec.Versions[i].Schema
	if schema == nil || schema.OpenAPIV3Schema == nil {
		return []Line{bad(hint, "%s has no schema", c.Name)}
	}
	lacks, more := compare(c.Spec.Names.Kind, schema.OpenAPIV3Schema)
	switch {
	case len(lacks) > 0:
		return []Line{warn(hint, "%s is older than this command: it lacks %s", c.Name, few(lacks))}
	case len(more) > 0:
		return []Line{warn("have the command of the cluster's release", "%s is newer than this command: it has %s besides", c.Name, few(more))}
	}
	return nil
}

// mayIgnore are webhooks that the chart lets fail.
var mayIgnore = []string{"namespaces.bearerguard.dev"}

// configured is what webhook configurations come to.
type configured struct {
	kinds                              map[string]int // webhooks of each kind of configuration
	bare, ignoring, deserted, services []string
}

func configuredBy(f *Facts) configured {
	c := configured{kinds: map[string]int{}}
	for _, w := range f.Webhooks.Value {
		c.kinds[w.Kind]++
		if len(parse(w.CA)) == 0 {
			c.bare = append(c.bare, w.Name)
		}
		if w.Ignore && !slices.Contains(mayIgnore, w.Name) {
			c.ignoring = append(c.ignoring, w.Name)
		}
		if w.Service == "" || slices.Contains(c.services, w.Service) {
			continue
		}
		c.services = append(c.services, w.Service)
		if f.Backends.Unknown == "" && f.Backends.Value[w.Service] == 0 {
			c.deserted = append(c.deserted, w.Service)
		}
	}
	return c
}

func webhooks(f *Facts) []Line {
	if f.Webhooks.Unknown != "" {
		return unknown(f.Webhooks, "the webhook configurations")
	}
	c := configuredBy(f)
	var out []Line
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		if c.kinds[kind] == 0 {
			out = append(out, bad("restart the controller, which makes it again, or upgrade the chart", "there is no %s: %s", kind, consequence(kind)))
		}
	}
	if len(c.bare) > 0 {
		out = append(out, bad("look at the controller's log; with cert-manager, at its cainjector", "these have no caBundle, so that the API server cannot trust who answers: %s", few(c.bare)))
	}
	if len(c.ignoring) > 0 {
		out = append(out, bad("set failurePolicy: Fail again: helm upgrade", "failurePolicy is Ignore, so that pods run bare while the controller is away: %s", few(c.ignoring)))
	}
	if len(c.deserted) > 0 {
		out = append(out, bad("kubectl get endpointslices -n NAMESPACE, and see the controller's pods", "nobody is behind the Service that webhooks call: %s", few(c.deserted)))
	}
	switch {
	case len(out) > 0:
		return out
	case len(c.services) > 0 && f.Backends.Unknown != "":
		return append(unknown(f.Backends, "who is behind the webhooks"), ok("%d webhooks, each with a caBundle", len(f.Webhooks.Value)))
	case len(c.services) > 0:
		return []Line{ok("%d webhooks, each with a caBundle, and somebody behind %s", len(f.Webhooks.Value), few(c.services))}
	}
	return []Line{ok("%d webhooks, each with a caBundle", len(f.Webhooks.Value))}
}

func consequence(kind string) string {
	if strings.HasPrefix(kind, "Mutating") {
		return "no pod gets a sidecar"
	}
	return "policies that cannot work are taken"
}

func admission(f *Facts) []Line {
	out := trial(f.Policy, "a policy", "the webhook that checks policies", "policies are not checked there")
	return append(out, trial(f.Pod, "a pod with the annotation bearerguard.dev/inject=enabled", "the webhook that injects", "pods get no sidecar there")...)
}

// trial says what came of an object that was tried.
func trial(k Known[Trial], what, who, consequence string) []Line {
	if k.Unknown != "" {
		return unknown(k, what+" could not be tried")
	}
	t := k.Value
	switch {
	case t.Refused != "" && !t.Answered:
		return []Line{bad("see the lines on webhooks and the controller", "%s was refused in namespace %s: %s", what, t.Namespace, t.Refused)}
	case !t.Answered:
		return []Line{bad("choose a namespace that is served with -n (not kube-system, not the controller's; of this release: docs/scale.md#cells), and see the lines on webhooks",
			"%s was taken in namespace %s, and %s had no say: %s", what, t.Namespace, who, consequence)}
	case t.Refused != "":
		return []Line{warn("it is another rule of that namespace; try one where apps run, with -n", "%s answered, and %s was refused in namespace %s: %s", who, what, t.Namespace, t.Refused)}
	}
	return []Line{ok("%s answered for %s, tried in namespace %s and not kept", who, what, t.Namespace)}
}

// soon is how long before their end certificates are told of: the controller renews its own 30 days before.
const soon = 14 * 24 * time.Hour

func certificates(f *Facts) []Line {
	var out []Line
	var roots []*x509.Certificate
	if f.Webhooks.Unknown != "" {
		out = unknown(f.Webhooks, "the authority that the API server trusts")
	} else {
		for _, w := range f.Webhooks.Value {
			roots = append(roots, parse(w.CA)...)
		}
		out = authorities(roots, f.Now)
	}
	if f.Serving.Unknown != "" {
		return append(out, unknown(f.Serving, "the certificate that the controller shows")...)
	}
	return append(out, serving(f, roots)...)
}

const renew = "the controller renews it by itself: look at its log; with cert-manager, at its Certificate"

// authorities says of those that are trusted whether one lasts.
func authorities(roots []*x509.Certificate, now time.Time) []Line {
	last := time.Time{}
	for _, c := range roots {
		if c.NotAfter.After(last) {
			last = c.NotAfter
		}
	}
	return expiry("the authority that the API server trusts", last, len(roots) == 0, now)
}

func expiry(what string, end time.Time, none bool, now time.Time) []Line {
	left := end.Sub(now)
	switch {
	case none:
		return []Line{bad(renew, "%s: there is none", what)}
	case left <= 0:
		return []Line{bad(renew, "%s expired on %s", what, end.UTC().Format(time.DateOnly))}
	case left < soon:
		return []Line{warn(renew, "%s expires on %s", what, end.UTC().Format(time.DateOnly))}
	}
	return []Line{ok("%s lasts until %s", what, end.UTC().Format(time.DateOnly))}
}

// serving says whether what the controller shows is trusted, is for its name, and lasts.
func serving(f *Facts, roots []*x509.Certificate) []Line {
	const what = "the certificate that the controller shows"
	if len(f.Serving.Value) == 0 {
		return []Line{bad(renew, "%s: there is none", what)}
	}
	leaf := f.Serving.Value[0]
	name := "bearerguard-webhook." + f.Namespace + ".svc"
	if err := leaf.VerifyHostname(name); err != nil {
		return []Line{bad(renew, "%s is not for %s", what, name)}
	}
	if len(roots) > 0 {
		pool, middle := x509.NewCertPool(), x509.NewCertPool()
		for _, c := range roots {
			pool.AddCert(c)
		}
		for _, c := range f.Serving.Value[1:] {
			middle.AddCert(c)
		}
		// Its end is told of apart.
		at := f.Now
		if at.After(leaf.NotAfter) {
			at = leaf.NotAfter
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: middle, CurrentTime: at}); err != nil {
			return []Line{bad(renew, "%s is not one that the API server trusts: the caBundles have another authority", what)}
		}
	}
	return expiry(what, leaf.NotAfter, false, f.Now)
}

// parse reads certificates in PEM; those that are none are left out.
func parse(text []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return out
		}
		if c, err := x509.ParseCertificate(b.Bytes); err == nil {
			out = append(out, c)
		}
	}
}

func versions(f *Facts) []Line {
	if f.Controllers.Unknown != "" {
		return unknown(f.Controllers, "the controller's release")
	}
	if len(f.Controllers.Value) == 0 {
		return []Line{{Verdict: Unknown, Text: "there is no controller to compare with"}}
	}
	is := plain(f.Controllers.Value[0].Version)
	var out []Line
	switch cli := plain(f.CLI); {
	case cli == "" || cli[0] < '0' || cli[0] > '9':
		out = append(out, Line{Verdict: Unknown, Text: fmt.Sprintf("this command (%s) is of no release; the controller is of %s", f.CLI, is)})
	case cli != is:
		out = append(out, warn("have the command of the cluster's release, or upgrade that", "this command is of release %s, the controller of %s", f.CLI, is))
	}
	if f.Sidecars.Unknown != "" {
		return append(out, unknown(f.Sidecars, "the sidecars' releases")...)
	}
	var others []string
	for _, s := range f.Sidecars.Value {
		if plain(s.Version) != is {
			others = append(others, fmt.Sprintf("%s/%s (%s)", s.Namespace, s.Pod, s.Version))
		}
	}
	if len(others) > 0 {
		out = append(out, warn("restart the workloads when it suits: kubectl rollout restart; docs/rollouts.md", "%d of %d sidecars are of another release than the controller (%s): %s",
			len(others), len(f.Sidecars.Value), is, few(others)))
	}
	if len(out) == 0 {
		out = []Line{ok("this command, the controller and %d sidecars are of release %s", len(f.Sidecars.Value), is)}
	}
	return out
}

// plain is a version without the v that tags have.
func plain(v string) string { return strings.TrimPrefix(v, "v") }
