package clustercheck

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/bearerguard/bearerguard/controllers/preflight"
)

// kernel is the oldest Linux whose nftables redirect in the family inet.
const kernel = "5.2"

func older(got, least string) (bool, error) {
	v, err := version.ParseGeneric(got)
	if err != nil {
		return false, err
	}
	return v.LessThan(version.MustParseGeneric(least)), nil
}

func kubernetes(f *Facts) []Line {
	if f.Server.Unknown != "" {
		return unknown(f.Server, "the API server's version")
	}
	is := f.Server.Value
	switch old, err := older(is, preflight.Kubernetes); {
	case err != nil:
		return []Line{{Verdict: Unknown, Text: fmt.Sprintf("the API server's version %q is none that can be read", is)}}
	case old:
		return []Line{bad("upgrade the cluster to "+preflight.Kubernetes+" or newer", "Kubernetes is %s; native sidecar containers and the chart need %s", is, preflight.Kubernetes)}
	}
	return []Line{ok("Kubernetes is %s; %s or newer is needed", is, preflight.Kubernetes)}
}

func nodes(f *Facts) []Line {
	if f.Nodes.Unknown != "" {
		return unknown(f.Nodes, "the nodes")
	}
	var out []Line
	var kubelets, kernels, archs []string
	linux := 0
	for _, n := range f.Nodes.Value {
		if n.OS != "linux" {
			continue
		}
		linux++
		if old, err := older(n.Kubelet, preflight.Kubernetes); err == nil && old {
			kubelets = append(kubelets, n.Name+" ("+n.Kubelet+")")
		}
		if old, err := older(release(n.Kernel), kernel); err == nil && old {
			kernels = append(kernels, n.Name+" ("+n.Kernel+")")
		}
		if n.Arch != "amd64" && n.Arch != "arm64" {
			archs = append(archs, n.Name+" ("+n.Arch+")")
		}
	}
	if linux == 0 {
		return []Line{bad("add a node with Linux", "none of %d nodes runs Linux: no pod can have a sidecar", len(f.Nodes.Value))}
	}
	if len(kubelets) > 0 {
		out = append(out, bad("upgrade these nodes, or keep guarded pods from them", "kubelets older than %s, without native sidecars: %s", preflight.Kubernetes, few(kubelets)))
	}
	if len(kernels) > 0 {
		out = append(out, warn("annotate pods there with bearerguard.dev/capture=ports", "kernels older than %s, whose nftables cannot redirect in the family inet: %s", kernel, few(kernels)))
	}
	if len(archs) > 0 {
		out = append(out, warn("build the image for them, or keep guarded pods from them", "the image is for amd64 and arm64; these are neither: %s", few(archs)))
	}
	if out == nil {
		out = []Line{ok("%d nodes with Linux, all new enough; whether nftables is allowed there shows when a pod's %s runs", linux, "bearerguard-capture")}
	}
	return out
}

// release is the number at the beginning of a kernel's version: "6.1.0-13-amd64" is 6.1.0.
func release(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end >= 0 {
		text = text[:end]
	}
	return strings.Trim(text, ".")
}

// How far clocks may be apart: from slight on it is told, and from DefaultSkew on tokens are refused that are good.
const (
	slight = 5 * time.Second
	much   = 30 * time.Second
)

func clock(f *Facts) []Line {
	var out []Line
	switch d := f.Skew.Value.Abs(); {
	case f.Skew.Unknown != "":
		out = unknown(f.Skew, "the API server's clock")
	case d > slight+f.Uncertain:
		out = []Line{warn("have both synchronised (NTP): sidecars tolerate 30s between them and the identity provider",
			"the API server's clock is %s %s this machine's", d.Round(time.Second), side(f.Skew.Value))}
	default:
		out = []Line{ok("the API server's clock and this machine's agree to within %s", (slight + f.Uncertain).Round(time.Second))}
	}
	var apart []string
	asked, worst := 0, time.Duration(0)
	for _, s := range f.Sidecars.Value {
		if s.Skew == nil {
			continue
		}
		asked++
		if d := s.Skew.Abs() - f.Uncertain; d > slight {
			worst = max(worst, d)
			apart = append(apart, fmt.Sprintf("%s/%s by %s", s.Namespace, s.Pod, d.Round(time.Second)))
		}
	}
	switch {
	case asked == 0:
	case worst > much:
		out = append(out, bad("have the nodes of these pods synchronised (NTP)", "clocks of sidecars differ from this machine's, and beyond 30s good tokens are refused: %s", few(apart)))
	case worst > 0:
		out = append(out, warn("have the nodes of these pods synchronised (NTP)", "clocks of sidecars differ from this machine's: %s", few(apart)))
	default:
		out = append(out, ok("the clocks of %d sidecars agree with this machine's", asked))
	}
	return out
}

func side(d time.Duration) string {
	if d > 0 {
		return "ahead of"
	}
	return "behind"
}

func permissions(f *Facts) []Line {
	if f.Rights.Unknown != "" {
		return unknown(f.Rights, "what "+f.Subject+" may do")
	}
	var lacks, doubtful []string
	for _, r := range f.Rights.Value {
		switch {
		case r.Allowed:
		case r.Optional:
			doubtful = append(doubtful, r.Verb+" "+r.Resource)
		default:
			text := r.Verb + " " + r.Resource
			if r.Namespace != "" {
				text += " in " + r.Namespace
			}
			lacks = append(lacks, text)
		}
	}
	switch {
	case len(lacks) > 0 && f.Pre:
		return []Line{bad("install as somebody who may, such as a cluster's administrator", "%s may not: %s", f.Subject, few(lacks))}
	case len(lacks) > 0:
		return []Line{bad("install the chart's roles again: helm upgrade, or kubectl apply", "%s may not: %s", f.Subject, few(lacks))}
	case len(doubtful) > 0:
		return []Line{warn("install as a cluster's administrator, or as somebody who has all rights that the chart's roles give",
			"%s may not %s: roles can be made only with rights that one has", f.Subject, few(doubtful))}
	}
	return []Line{ok("%s may do all %d things that were asked about", f.Subject, len(f.Rights.Value))}
}

// strictLevels are the levels of Pod Security that refuse NET_ADMIN.
var strictLevels = []string{"baseline", "restricted"}

func podSecurity(f *Facts) []Line {
	if f.Namespaces.Unknown != "" {
		return unknown(f.Namespaces, "the namespaces")
	}
	var refused, strict []string
	concerned := 0
	for _, n := range f.Namespaces.Value {
		if n.Name == f.Namespace || strings.HasPrefix(n.Name, "kube-") {
			continue // no pod gets a sidecar there
		}
		hard := slices.Contains(strictLevels, n.Level)
		if hard {
			strict = append(strict, n.Name)
		}
		if !n.Asks && n.Pods == 0 {
			continue
		}
		concerned++
		if hard && n.Redirects {
			refused = append(refused, n.Name+" ("+n.Level+")")
		}
	}
	const hint = "annotate these namespaces with bearerguard.dev/capture=ports, which needs no privilege, or let Pod Security enforce privileged there"
	switch {
	case len(refused) > 0:
		return []Line{bad(hint, "Pod Security refuses pods with capture: redirect, whose init container has NET_ADMIN: %s", few(refused))}
	case f.Pre && len(strict) > 0:
		return []Line{{Verdict: OK, Hint: "for these: bearerguard.dev/capture=ports, as an annotation of the namespace",
			Text: fmt.Sprintf("namespaces that enforce baseline or restricted take no init container with NET_ADMIN: %s", few(strict))}}
	case concerned == 0:
		return []Line{ok("no namespace asks for sidecars yet")}
	}
	return []Line{ok("%d namespaces have sidecars or ask for them, and let in what these need", concerned)}
}
