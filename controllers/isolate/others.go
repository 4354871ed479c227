package isolate

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

// other is a NetworkPolicy about ingress that no policy of the namespace owns.
type other struct {
	name     string
	selector labels.Selector
	rules    []networkingv1.NetworkPolicyIngressRule
}

func (o other) selects(pod map[string]string) bool { return o.selector.Matches(labels.Set(pod)) }

// there is the NetworkPolicies of a namespace.
type there struct {
	own    map[string][]*networkingv1.NetworkPolicy // by the UID of the policy of the namespace that each was made for
	others []other                                  // sorted by name
}

// sort tells our own NetworkPolicies from others.
func sort(outcomes []compile.Outcome, have []*networkingv1.NetworkPolicy) there {
	out := there{own: map[string][]*networkingv1.NetworkPolicy{}}
	if len(have) == 0 {
		return out
	}
	policies := make(map[string]bool, len(outcomes))
	for _, o := range outcomes {
		policies[o.Policy.UID] = true
	}
	for _, n := range have {
		if uid := ownerOf(n); policies[uid] {
			out.own[uid] = append(out.own[uid], n)
		} else if len(n.Spec.PolicyTypes) == 0 || slices.Contains(n.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
			out.others = append(out.others, read(n))
		}
	}
	slices.SortFunc(out.others, func(a, b other) int { return strings.Compare(a.name, b.name) })
	return out
}

func read(n *networkingv1.NetworkPolicy) other {
	selector, err := metav1.LabelSelectorAsSelector(&n.Spec.PodSelector)
	if err != nil { // the API server refuses it
		selector = labels.Everything()
	}
	return other{name: n.Name, selector: selector, rules: n.Spec.Ingress}
}

// Fence says which ports of pods NetworkPolicies close. It is immutable.
type Fence struct {
	own, others []other
}

// NewFence returns what the NetworkPolicies that are there close.
func NewFence(outcomes []compile.Outcome, have []*networkingv1.NetworkPolicy) Fence {
	t := sort(outcomes, have)
	f := Fence{others: t.others}
	for _, list := range t.own {
		for _, n := range list {
			f.own = append(f.own, read(n))
		}
	}
	return f
}

// Closes reports whether nobody is let in to the ports of a pod with these labels, as far as NetworkPolicies say; opener is the first that
// lets somebody in. No ports are some that are not known.
func (f Fence) Closes(pod map[string]string, ports []int32) (closed bool, opener string) {
	for _, o := range f.own {
		if !o.selects(pod) {
			continue
		}
		closed = true
		if len(ports) > 0 && opens(o.rules, ports) { // somebody edited it
			return false, o.name
		}
	}
	for _, o := range f.others {
		if !o.selects(pod) {
			continue
		}
		closed = true
		if opens(o.rules, ports) {
			return false, o.name
		}
	}
	return closed, ""
}

// opens reports whether one of the rules lets anybody in to one of the ports. What is named is not looked up: it may be any.
func opens(rules []networkingv1.NetworkPolicyIngressRule, ports []int32) bool {
	for _, r := range rules {
		if len(r.Ports) == 0 || len(ports) == 0 {
			return true
		}
		for i := range r.Ports {
			if slices.ContainsFunc(ports, func(port int32) bool { return covers(&r.Ports[i], port) }) {
				return true
			}
		}
	}
	return false
}

func covers(p *networkingv1.NetworkPolicyPort, port int32) bool {
	switch {
	case p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP:
		return false
	case p.Port == nil || p.Port.Type == intstr.String:
		return true
	case p.EndPort != nil:
		return p.Port.IntVal <= port && port <= *p.EndPort
	}
	return p.Port.IntVal == port
}

// Ports reads the ports of v1alpha1.LabelServes, such as "8080.9090". It reads but what injection writes: one set of ports has one label.
func Ports(label string) (ports []int32, ok bool) {
	for text := range strings.SplitSeq(label, ".") {
		n, err := strconv.ParseUint(text, 10, 16)
		port := int32(n) //nolint:gosec // 16 bits
		if err != nil || text[0] == '0' || len(ports) > 0 && port <= ports[len(ports)-1] {
			return nil, false
		}
		ports = append(ports, port)
	}
	return ports, true
}
