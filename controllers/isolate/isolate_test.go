package isolate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/isolate"
)

const serves = "bearerguard.dev/serves"

// asking is a policy for app: orders that asks, and its pods.
func asking(pods ...compile.Workload) compile.Outcome {
	return compile.Outcome{
		Policy: &compile.Policy{
			Name: "orders", UID: "u1", Namespace: "shop", NetworkPolicy: true,
			Selector: policy.Selector{MatchLabels: map[string]string{"app": "orders"}},
		},
		Selected: []*compile.Group{{Workloads: pods}},
	}
}

func pod(name, ports string) compile.Workload {
	w := compile.Workload{Name: name, UID: name, Injected: true, Labels: map[string]string{"app": "orders"}}
	if ports != "" {
		w.Labels[serves] = ports
	}
	return w
}

func networkPolicy(t *testing.T, name, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	n := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &n.Spec); err != nil {
		t.Fatal(err)
	}
	return n
}

// outline is a plan in words.
func outline(p isolate.Plan) (out []string) {
	for verb, list := range map[string][]*networkingv1.NetworkPolicy{"create": p.Create, "update": p.Update, "delete": p.Delete} {
		for _, n := range list {
			out = append(out, verb+" "+n.Name)
		}
	}
	for name, text := range p.Troubles {
		out = append(out, name+": "+text)
	}
	slices.Sort(out)
	return out
}

func TestWhatIsMade(t *testing.T) {
	t.Parallel()
	first := isolate.For([]compile.Outcome{asking(pod("a", "8080"))}, nil).Create
	if len(first) != 1 {
		t.Fatal("none is made")
	}
	own := first[0]
	audit, quiet, unreadable, invalid := asking(pod("a", "8080")), asking(pod("a", "8080")), asking(), asking(pod("a", "8080"))
	audit.Policy.Spec.Mode, quiet.Policy.NetworkPolicy, unreadable.Policy.Unreadable = policy.Audit, false, errors.New("x")
	unreadable.Policy.NetworkPolicy, invalid.Problem = false, errors.New("x")
	edited, foreign := own.DeepCopy(), own.DeepCopy()
	edited.Spec.Ingress = nil
	foreign.OwnerReferences = nil
	foreign.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	otherUID := own.DeepCopy()
	otherUID.OwnerReferences[0].UID = "u0"
	otherUID.Spec.PolicyTypes = foreign.Spec.PolicyTypes
	denyAll := networkPolicy(t, "deny", "podSelector: {}\npolicyTypes: [Ingress]")
	for name, tc := range map[string]struct {
		outcomes []compile.Outcome
		have     []*networkingv1.NetworkPolicy
		want     []string
	}{
		"one for each set of ports": {
			outcomes: []compile.Outcome{asking(pod("a", "8080"), pod("b", "8080.9090"), pod("c", "8080"))},
			want:     []string{"create orders-8080", "create orders-8080.9090"},
		},
		"none before there is a pod":                     {outcomes: []compile.Outcome{asking()}},
		"none for pods in redirect mode, or bare ones":   {outcomes: []compile.Outcome{asking(pod("a", ""))}},
		"none for a label that injection does not write": {outcomes: []compile.Outcome{asking(pod("a", "x"), pod("b", "70000"), pod("c", "0"))}},
		"nor for one in another order, or with zeros":    {outcomes: []compile.Outcome{asking(pod("a", "08080"), pod("b", "9090.8080"), pod("c", "80.80"), pod("d", "80."))}},
		"none for a policy that does not ask":            {outcomes: []compile.Outcome{quiet}},
		"none in Audit mode":                             {outcomes: []compile.Outcome{audit}},
		"one for a policy that does not compile":         {outcomes: []compile.Outcome{invalid}, want: []string{"create orders-8080"}},
		"what is as it should be stays":                  {outcomes: []compile.Outcome{asking(pod("a", "8080"))}, have: []*networkingv1.NetworkPolicy{own}},
		"what was edited is put right":                   {outcomes: []compile.Outcome{asking(pod("a", "8080"))}, have: []*networkingv1.NetworkPolicy{edited}, want: []string{"update orders-8080"}},
		"it stays while there is no pod":                 {outcomes: []compile.Outcome{asking()}, have: []*networkingv1.NetworkPolicy{own}},
		"it goes with the last pod of its ports":         {outcomes: []compile.Outcome{asking(pod("a", "9090"))}, have: []*networkingv1.NetworkPolicy{own}, want: []string{"create orders-9090", "delete orders-8080"}},
		"it goes when the policy asks no more":           {outcomes: []compile.Outcome{quiet}, have: []*networkingv1.NetworkPolicy{own}, want: []string{"delete orders-8080"}},
		"it goes when the policy becomes Audit":          {outcomes: []compile.Outcome{audit}, have: []*networkingv1.NetworkPolicy{own}, want: []string{"delete orders-8080"}},
		"it stays while the policy cannot be read":       {outcomes: []compile.Outcome{unreadable}, have: []*networkingv1.NetworkPolicy{own}},
		"one of the same name that is a user's stays": {
			outcomes: []compile.Outcome{asking(pod("a", "8080"))}, have: []*networkingv1.NetworkPolicy{foreign},
			want: []string{"orders: NetworkPolicy orders-8080 is somebody else's: it stays as it is, and none is made"},
		},
		"so does one of a policy that was deleted": {
			outcomes: []compile.Outcome{asking(pod("a", "8080"))}, have: []*networkingv1.NetworkPolicy{otherUID},
			want: []string{"orders: NetworkPolicy orders-8080 is somebody else's: it stays as it is, and none is made"},
		},
		"none beside another that isolates the pods": {
			outcomes: []compile.Outcome{asking(pod("a", "8080"))}, have: []*networkingv1.NetworkPolicy{denyAll},
			want: []string{"orders: none is made for ports 8080, since it would open what NetworkPolicy deny closes on pod a"},
		},
		"it goes when another comes": {
			outcomes: []compile.Outcome{asking(pod("a", "8080"))}, have: []*networkingv1.NetworkPolicy{own, denyAll},
			want: []string{"delete orders-8080", "orders: none is made for ports 8080, since it would open what NetworkPolicy deny closes on pod a"},
		},
		"others for other pods, or for what goes out, do not matter": {
			outcomes: []compile.Outcome{asking(pod("a", "8080"))}, have: []*networkingv1.NetworkPolicy{
				networkPolicy(t, "x", "podSelector: {matchLabels: {app: pay}}"), networkPolicy(t, "y", "podSelector: {}\npolicyTypes: [Egress]"),
			},
			want: []string{"create orders-8080"},
		},
	} {
		if diff := cmp.Diff(tc.want, outline(isolate.For(tc.outcomes, tc.have))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Who may create or label one pod does not open the others of its ports past their sidecar.
func TestOnePodTakesTheFenceOffNoOther(t *testing.T) {
	t.Parallel()
	planted, bare := pod("b", "8080"), pod("c", "8080")
	planted.Labels["planted"], bare.Labels["planted"], bare.Injected = "yes", "yes", false
	others := networkPolicy(t, "x", "podSelector: {matchLabels: {planted: 'yes'}}")
	own := isolate.For([]compile.Outcome{asking(pod("a", "8080"))}, nil).Create[0]
	const told = "orders: the one for ports 8080 opens these on pod b as well, which NetworkPolicy x closes; have that one select all pods of these ports or none"
	for name, tc := range map[string]struct {
		pods []compile.Workload
		have []*networkingv1.NetworkPolicy
		want []string
	}{
		"it stays where others isolate a part, and that is told": {
			pods: []compile.Workload{planted, pod("a", "8080")}, have: []*networkingv1.NetworkPolicy{own, others}, want: []string{told},
		},
		"it is made where others isolate a part": {
			pods: []compile.Workload{pod("a", "8080"), planted}, have: []*networkingv1.NetworkPolicy{others}, want: []string{"create orders-8080", told},
		},
		"what leaves pods open is told first": {
			pods: []compile.Workload{pod("a", "8080"), planted, {Name: "d", Injected: true, Labels: map[string]string{"planted": "yes", serves: "9090"}}},
			have: []*networkingv1.NetworkPolicy{own, others},
			want: []string{"orders: none is made for ports 9090, since it would open what NetworkPolicy x closes on pod d"},
		},
		"a pod without a sidecar does not count": {
			pods: []compile.Workload{pod("a", "8080"), bare}, have: []*networkingv1.NetworkPolicy{own, others},
		},
		"nor does one that comes first": {
			pods: []compile.Workload{bare, pod("a", "8080")}, have: []*networkingv1.NetworkPolicy{own, others},
		},
		"pods without a sidecar have none": {pods: []compile.Workload{bare}},
		"nor do they take away what is there": {
			pods: []compile.Workload{bare}, have: []*networkingv1.NetworkPolicy{own, others},
		},
		"it goes where others isolate all": {
			pods: []compile.Workload{planted, bare}, have: []*networkingv1.NetworkPolicy{own, others},
			want: []string{"delete orders-8080", "orders: none is made for ports 8080, since it would open what NetworkPolicy x closes on pod b"},
		},
	} {
		if diff := cmp.Diff(tc.want, outline(isolate.For([]compile.Outcome{asking(tc.pods...)}, tc.have))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Policies that select the same pods have one each, and neither takes the other's for a stranger's.
func TestPoliciesThatShareAPod(t *testing.T) {
	t.Parallel()
	a, b := asking(pod("a", "8080")), asking(pod("a", "8080"))
	b.Policy.Name, b.Policy.UID, b.Policy.Selector = "all", "u2", policy.Selector{}
	both := []compile.Outcome{a, b}
	plan := isolate.For(both, nil)
	if diff := cmp.Diff([]string{"create all-8080", "create orders-8080"}, outline(plan)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := outline(isolate.For(both, plan.Create)); got != nil {
		t.Errorf("they are not left alone: %v", got)
	}
}

func TestWhatANetworkPolicySays(t *testing.T) {
	t.Parallel()
	o := asking(pod("a", "8080.9090"))
	o.Policy.Selector.MatchExpressions = []policy.SelectorRequirement{{Key: "tier", Operator: policy.NotIn, Values: []string{"test"}}}
	got := isolate.For([]compile.Outcome{o}, nil).Create[0]
	want := `
metadata:
  labels: {app.kubernetes.io/managed-by: bearerguard}
  name: orders-8080.9090
  namespace: shop
  ownerReferences: [{apiVersion: bearerguard.dev/v1alpha1, kind: AuthPolicy, name: orders, uid: u1, controller: true}]
spec:
  podSelector:
    matchLabels: {app: orders, bearerguard.dev/serves: "8080.9090"}
    matchExpressions: [{key: tier, operator: NotIn, values: [test]}]
  policyTypes: [Ingress]
  ingress:
  - ports: [{protocol: TCP, port: 8080}, {protocol: TCP, port: 9090}, {protocol: TCP, port: 15081}]
`
	var wanted networkingv1.NetworkPolicy
	if err := yaml.UnmarshalStrict([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&wanted, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := asking(pod("a", "8080"))
	long.Policy.Name = strings.Repeat("a.b-", 63) + "c"
	if name := isolate.For([]compile.Outcome{long}, nil).Create[0].Name; len(validation.IsDNS1123Subdomain(name)) != 0 {
		t.Errorf("%q is no name", name)
	}
}

// A selector that asks for the label itself selects no more by what is added to it.
func TestASelectorOfTheLabelItselfStaysNarrow(t *testing.T) {
	t.Parallel()
	o := asking(pod("a", "8080"))
	o.Policy.Selector.MatchLabels[serves] = "9090"
	made := isolate.For([]compile.Outcome{o}, nil).Create[0]
	s, err := metav1.LabelSelectorAsSelector(&made.Spec.PodSelector)
	if err != nil || s.Matches(labels.Set(pod("a", "8080").Labels)) {
		t.Errorf("it selects what the policy does not: %v, %v", s, err)
	}
}

func TestWhatIsClosed(t *testing.T) {
	t.Parallel()
	o := asking(pod("a", "8080"))
	own := isolate.For([]compile.Outcome{o}, nil).Create[0]
	for name, tc := range map[string]struct {
		ports  []int32
		others []string // specs
		own    bool
		closed bool
		opener string
	}{
		"nothing":                            {ports: []int32{18080}},
		"by our own":                         {ports: []int32{18080}, own: true, closed: true},
		"by our own, ports that are unknown": {own: true, closed: true},
		"by another alone":                   {ports: []int32{18080}, others: []string{"podSelector: {}"}, closed: true},
		"another lets in to all ports":       {ports: []int32{18080}, own: true, others: []string{"podSelector: {}\ningress: [{from: [{podSelector: {}}]}]"}, opener: "x0"},
		"another lets in to the port":        {ports: []int32{1, 18080}, own: true, others: []string{"podSelector: {}\ningress: [{ports: [{port: 18080}]}]"}, opener: "x0"},
		"another lets in to a range":         {ports: []int32{18080}, own: true, others: []string{"podSelector: {}\ningress: [{ports: [{port: 18000, endPort: 19000}]}]"}, opener: "x0"},
		"another lets in to a named port":    {ports: []int32{18080}, own: true, others: []string{"podSelector: {}\ningress: [{ports: [{port: http}]}]"}, opener: "x0"},
		"another lets in to a protocol":      {ports: []int32{18080}, own: true, others: []string{"podSelector: {}\ningress: [{ports: [{protocol: TCP}]}]"}, opener: "x0"},
		"another lets in to other ports": {ports: []int32{18080}, own: true, others: []string{
			"podSelector: {}\ningress: [{ports: [{port: 8080}, {port: 1, endPort: 18079}, {protocol: UDP, port: 18080}]}]",
		}, closed: true},
		"another lets in, which ports are open is unknown": {others: []string{"podSelector: {}\ningress: [{ports: [{port: 8080}]}]"}, opener: "x0"},
		"another is for other pods":                        {ports: []int32{18080}, own: true, others: []string{"podSelector: {matchLabels: {app: pay}}\ningress: [{}]"}, closed: true},
		"another is for what goes out":                     {ports: []int32{18080}, others: []string{"podSelector: {}\npolicyTypes: [Egress]"}},
	} {
		var have []*networkingv1.NetworkPolicy
		for i, spec := range tc.others {
			have = append(have, networkPolicy(t, "x"+string(rune('0'+i)), spec))
		}
		if tc.own {
			have = append(have, own)
		}
		closed, opener := isolate.NewFence([]compile.Outcome{o}, have).Closes(o.Selected[0].Workloads[0].Labels, tc.ports)
		if closed != tc.closed || opener != tc.opener {
			t.Errorf("%s: closed %v, opener %q; want %v, %q", name, closed, opener, tc.closed, tc.opener)
		}
	}
}
