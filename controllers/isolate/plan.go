package isolate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// Most is how many NetworkPolicies a namespace has at most of ours: policies times sets of ports have no bound of their own, and whoever may
// label pods makes sets.
const Most = 100

// Plan is what is to be done about the NetworkPolicies of a namespace.
type Plan struct {
	Create, Update, Delete []*networkingv1.NetworkPolicy
	// Troubles say, by the name of the policy, why it has not what it asks for, or what that does besides.
	Troubles map[string]string
}

// For plans for the policies of a namespace, among the NetworkPolicies that are there. Of those that are missing the oldest policies' are made,
// up to Most with those that stay: what is there and wanted stays however many there are. Objects of have are not changed.
func For(outcomes []compile.Outcome, have []*networkingv1.NetworkPolicy) Plan {
	p := planner{
		there: sort(outcomes, have), have: map[string]*networkingv1.NetworkPolicy{}, plan: Plan{Troubles: map[string]string{}},
		isolators: map[string]string{}, remarks: map[string]string{},
	}
	for _, n := range have {
		p.have[n.Name] = n
	}
	for _, o := range byAge(outcomes) {
		if o.Policy.Unreadable == nil { // else whether it asks is not known: what is there stays
			p.policy(o)
		}
	}
	p.create()
	for name, text := range p.remarks {
		if p.plan.Troubles[name] == "" {
			p.plan.Troubles[name] = text
		}
	}
	return p.plan
}

// byAge returns the outcomes of the oldest policies first, then by name.
func byAge(outcomes []compile.Outcome) []*compile.Outcome {
	out := make([]*compile.Outcome, len(outcomes))
	for i := range outcomes {
		out[i] = &outcomes[i]
	}
	slices.SortFunc(out, func(a, b *compile.Outcome) int {
		return cmp.Or(a.Policy.Created.Compare(b.Policy.Created), cmp.Compare(a.Policy.Name, b.Policy.Name))
	})
	return out
}

// Asks reports whether a policy asks for NetworkPolicies. One in Audit mode changes nothing but the log, so it does not.
func Asks(p *compile.Policy) bool {
	return p.NetworkPolicy && p.Spec.Mode != policy.Audit
}

type planner struct {
	there there
	have  map[string]*networkingv1.NetworkPolicy // by name
	plan  Plan

	missing   []missing         // in the order in which they are made; Most at most
	isolators map[string]string // by the name of a pod: another's NetworkPolicy that isolates it; "": none
	remarks   map[string]string // by policy: the first trouble that leaves no pod open
}

// missing is a set whose NetworkPolicy is not there.
type missing struct {
	of *compile.Outcome
	set
}

func (p *planner) policy(o *compile.Outcome) {
	wanted := map[string]bool{}
	sets := p.setsOf(o)
	for _, set := range sets {
		switch set.apart {
		case 0:
		case set.pods:
			p.trouble(o, fmt.Sprintf("none is made for ports %s, since it would open what NetworkPolicy %s closes on pod %s", set.label, set.other, set.pod))
			continue
		default:
			p.remark(o, set)
		}
		name := nameOf(o.Policy.Name, set.label)
		wanted[name] = true
		p.keep(o, set, name)
	}
	if Asks(o.Policy) && len(sets) == 0 { // pods may come back, and must not be open then
		return
	}
	for _, n := range p.there.own[o.Policy.UID] {
		if !wanted[n.Name] {
			p.plan.Delete = append(p.plan.Delete, n)
		}
	}
}

// keep plans for the NetworkPolicy of a set to be as it should.
func (p *planner) keep(o *compile.Outcome, s set, name string) {
	have := p.have[name]
	switch {
	case have == nil && len(p.missing) < Most:
		p.missing = append(p.missing, missing{o, s})
	case have == nil:
		p.full(o, s)
	case !ownedBy(have, o.Policy.UID):
		p.trouble(o, fmt.Sprintf("NetworkPolicy %s is somebody else's: it stays as it is, and none is made", name))
	default:
		if n := made(o.Policy, s); !equality.Semantic.DeepEqual(have.Spec, n.Spec) {
			changed := have.DeepCopy()
			changed.Spec = n.Spec
			p.plan.Update = append(p.plan.Update, changed)
		}
	}
}

// create plans for what is missing, as far as there is room beside what stays.
func (p *planner) create() {
	room := Most + len(p.plan.Delete)
	for _, own := range p.there.own {
		room -= len(own)
	}
	for i, m := range p.missing {
		if i < room {
			p.plan.Create = append(p.plan.Create, made(m.of.Policy, m.set))
		} else {
			p.full(m.of, m.set)
		}
	}
}

// full tells that there is no room for the NetworkPolicy of a set.
func (p *planner) full(o *compile.Outcome, s set) {
	if p.plan.Troubles[o.Policy.Name] != "" { // there may be many
		return
	}
	p.trouble(o, fmt.Sprintf("none is made for ports %s, since the namespace has %d, the most that it may have", s.label, Most))
}

// trouble keeps the first of a policy.
func (p *planner) trouble(o *compile.Outcome, text string) {
	if p.plan.Troubles[o.Policy.Name] == "" {
		p.plan.Troubles[o.Policy.Name] = text
	}
}

// remark tells of a set of which others isolate a part. It has its NetworkPolicy all the same: whoever may label one pod would else open all
// others past their sidecar, and what is opened on the part are ports where a sidecar asks for a token.
func (p *planner) remark(o *compile.Outcome, s set) {
	if p.remarks[o.Policy.Name] == "" {
		p.remarks[o.Policy.Name] = fmt.Sprintf("the one for ports %s opens these on pod %s as well, which NetworkPolicy %s closes; have that one select all pods of "+
			"these ports or none", s.label, s.pod, s.other)
	}
}

// made is the NetworkPolicy for a set.
func made(p *compile.Policy, s set) *networkingv1.NetworkPolicy {
	n := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{
		Namespace: p.Namespace, Name: nameOf(p.Name, s.label),
		Labels: map[string]string{"app.kubernetes.io/managed-by": "bearerguard"},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "AuthPolicy", Name: p.Name, UID: types.UID(p.UID), Controller: new(true),
		}},
	}}
	n.Spec.PodSelector = selectorOf(p.Selector, s.label)
	n.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	var open []networkingv1.NetworkPolicyPort
	for _, port := range append(slices.Clone(s.ports), inject.AdminPort) {
		open = append(open, networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(port))})
	}
	n.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{Ports: open}}
	return n
}

// selectorOf is a policy's selector for pods of one set.
func selectorOf(s policy.Selector, label string) metav1.LabelSelector {
	out := metav1.LabelSelector{MatchLabels: map[string]string{}}
	maps.Copy(out.MatchLabels, s.MatchLabels)
	if was, ok := out.MatchLabels[v1alpha1.LabelServes]; ok { // both must hold
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: v1alpha1.LabelServes, Operator: metav1.LabelSelectorOpIn, Values: []string{was},
		})
	}
	out.MatchLabels[v1alpha1.LabelServes] = label
	for _, e := range s.MatchExpressions {
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: e.Key, Operator: metav1.LabelSelectorOperator(e.Operator), Values: e.Values,
		})
	}
	return out
}

// nameOf is policy-ports; a name that would be too long ends with a hash.
func nameOf(name, label string) string {
	const most = 253
	out := name + "-" + label
	if len(out) <= most {
		return out
	}
	sum := sha256.Sum256([]byte(out))
	return strings.TrimRight(out[:most-17], "-.") + "-" + hex.EncodeToString(sum[:8])
}

func ownedBy(n *networkingv1.NetworkPolicy, uid string) bool { return ownerOf(n) == uid }

// ownerOf is the UID of the AuthPolicy that a NetworkPolicy was made for; "": none.
func ownerOf(n *networkingv1.NetworkPolicy) string {
	owner := metav1.GetControllerOfNoCopy(n)
	if owner == nil || owner.Kind != "AuthPolicy" || owner.APIVersion != v1alpha1.GroupVersion.String() {
		return ""
	}
	return string(owner.UID)
}
