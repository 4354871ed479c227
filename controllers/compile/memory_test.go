package compile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

// world is a namespace to which things happen at random.
type world struct {
	*rand.Rand
	crowd    int // how many policies there may be
	issuers  int // how many a policy may have
	headers  int // how many a policy may forward
	policies []*Policy
	pods     []Workload
	keys     map[string]bundle.KeySet
	serial   int
}

func (w *world) pick(texts ...string) string { return texts[w.IntN(len(texts))] }

func (w *world) next() int { w.serial++; return w.serial }

func (w *world) labels() map[string]string {
	l := map[string]string{}
	for _, key := range []string{"app", "tier", "team", "hash"} {
		if w.IntN(3) > 0 {
			l[key] = w.pick("a", "b", "c", "d")
		}
	}
	return l
}

func (w *world) selector() policy.Selector {
	values := []string{w.pick("a", "b"), w.pick("b", "c")}
	switch w.IntN(9) {
	case 0:
		return policy.Selector{}
	case 1:
		return policy.Selector{MatchLabels: map[string]string{"app": w.pick("a", "b", "c"), "tier": w.pick("a", "b")}}
	case 2:
		return policy.Selector{MatchExpressions: []policy.SelectorRequirement{{Key: "team", Operator: policy.In, Values: values}}}
	case 3:
		return policy.Selector{MatchExpressions: []policy.SelectorRequirement{{Key: w.pick("team", "tier"), Operator: policy.Exists}}}
	case 4:
		return policy.Selector{
			MatchExpressions: []policy.SelectorRequirement{{Key: "tier", Operator: policy.NotIn, Values: values}, {Key: "team", Operator: policy.DoesNotExist}},
		}
	case 5:
		return policy.Selector{MatchExpressions: []policy.SelectorRequirement{{Key: "app", Operator: policy.SelectorOperator(w.pick("Near", "In", "In"))}}}
	}
	return policy.Selector{MatchLabels: map[string]string{w.pick("app", "app", "hash"): w.pick("a", "b", "c", "d")}}
}

func (w *world) spec() (s policy.Spec) {
	for i := range w.IntN(w.issuers + 1) {
		source := policy.KeySource{SecretRef: &policy.KeyRef{Name: w.pick("s0", "s1", "s2"), Key: "k"}}
		switch w.IntN(6) {
		case 0:
			source = policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}
		case 1, 2:
			source = policy.KeySource{JWKSURL: fmt.Sprintf("https://idp.example/%d", w.next())}
		}
		s.Issuers = append(s.Issuers, policy.Issuer{Name: fmt.Sprint("i", i), Issuer: fmt.Sprint("https://idp.example/", i), AnyAudience: true, Keys: source})
	}
	path := w.pick("/x", "/y", "/y", "/z", "no slash")
	s.Rules = []policy.Rule{{Name: "open", Match: []policy.Match{{Paths: []string{path}}}, Allow: &policy.Allow{Anonymous: true}}}
	if w.IntN(5) == 0 {
		s.Rules = append(s.Rules, policy.Rule{Name: "shut", Match: []policy.Match{{Paths: []string{"/shut"}}}, Deny: &policy.Conditions{}})
	}
	if w.IntN(5) == 0 {
		s.Forward = &policy.Forward{Headers: []policy.IdentityHeader{{Name: "X-User", Claim: w.pick("sub", "a..b")}}}
	}
	if w.headers > 0 && w.IntN(2) == 0 {
		s.Forward = &policy.Forward{}
		for i := range 1 + w.IntN(w.headers) {
			s.Forward.Headers = append(s.Forward.Headers, policy.IdentityHeader{Name: fmt.Sprint("X-", i), Claim: "sub"})
		}
	}
	return s
}

func (w *world) policy(name, uid string, generation int64) *Policy {
	p := &Policy{
		Namespace: "shop", Name: name, UID: uid, Generation: generation, Created: time.Unix(int64(w.IntN(5)), 0),
		Selector: w.selector(), Spec: w.spec(),
	}
	if w.IntN(12) == 0 {
		p.Unreadable = errors.New("spec: is a string; want object")
	}
	return p
}

// step makes one thing happen, and says what.
func (w *world) step() string {
	switch what := w.pick("policy", "policy", "edit", "edit", "edit", "selector", "delete", "pod", "pod", "pod", "pod ends", "labels", "key", "key goes"); {
	case what == "policy" && len(w.policies) < w.crowd:
		n := w.next()
		w.policies = append(w.policies, w.policy(fmt.Sprint("p", n%97, "-", n), fmt.Sprint("uid", n), 1))
		return what
	case what == "pod" && len(w.pods) < 30:
		n := w.next()
		w.pods = append(w.pods, Workload{Name: fmt.Sprint("w", n%11, "-", n), UID: fmt.Sprint("uid", n), Labels: w.labels()})
		return what
	case what == "key":
		w.keys = maps.Clone(w.keys)
		w.keys["secret:shop/"+w.pick("s0", "s1", "s2")+"/k as:Keys"] = keySet(w.IntN(3))
		return what
	case what == "key goes":
		w.keys = maps.Clone(w.keys)
		delete(w.keys, "secret:shop/"+w.pick("s0", "s1")+"/k as:Keys")
		return what
	case (what == "edit" || what == "selector") && len(w.policies) > 0:
		p := &w.policies[w.IntN(len(w.policies))]
		now := w.policy((*p).Name, (*p).UID, (*p).Generation+1)
		if now.Created = (*p).Created; what == "edit" {
			now.Selector = (*p).Selector
		}
		*p = now
		return what
	case what == "delete" && len(w.policies) > 0:
		i := w.IntN(len(w.policies))
		w.policies = slices.Delete(w.policies, i, i+1)
		return what
	case what == "pod ends" && len(w.pods) > 0:
		i := w.IntN(len(w.pods))
		w.pods = slices.Delete(w.pods, i, i+1)
		return what
	case what == "labels" && len(w.pods) > 0:
		w.pods[w.IntN(len(w.pods))].Labels = w.labels()
		return what
	}
	return "nothing"
}

func TestWhatIsRememberedChangesNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		crowd, issuers, headers int
		room                    room
		refuses                 bool // some pods are refused all
	}{
		"few policies":                           {crowd: 8, issuers: 2},
		"more issuers than a pod may have":       {crowd: 20, issuers: 16},
		"more sources than a namespace may have": {crowd: 70, issuers: 16},
		"no room for all bundles":                {crowd: 12, issuers: 2, room: room{one: 2500, all: 7000}},
		"no room, too many issuers":              {crowd: 20, issuers: 16, room: room{one: 20_000, all: 60_000}},
		"no room for all stand-ins":              {crowd: 12, issuers: 2, headers: 40, room: room{one: 4500, all: 12_000}, refuses: true},
		"no room for one policy's stand-in":      {crowd: 4, issuers: 2, headers: 100, room: room{one: 2000, all: 7000}, refuses: true},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				t.Parallel()
				w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), crowd: tc.crowd, issuers: tc.issuers, headers: tc.headers, keys: map[string]bundle.KeySet{}} //nolint:gosec // to be repeated
				m := &Memory{room: tc.room}
				for range 400 {
					compare(t, w, m, w.step())
				}
				if tc.refuses && m.refusal == nil {
					t.Error("there was room all the time")
				}
			})
		}
	}
}

// quickly is Check for what a world makes.
func quickly(policies []Policy) error {
	for _, p := range policies {
		for _, r := range p.Spec.Rules {
			if len(r.Match) > 0 && r.Match[0].Paths[0] == "no slash" {
				return errors.New("spec.rules: has a path without a slash")
			}
		}
		if p.Spec.Forward != nil && p.Spec.Forward.Headers[0].Claim == "a..b" {
			return errors.New("spec.forward: has no such claim")
		}
	}
	return nil
}

func equal(a, b *Bundle) bool {
	return bytes.Equal(a.Encoded, b.Encoded) && a.Ref.Version == b.Ref.Version && slices.Equal(a.Ref.Policies, b.Ref.Policies) &&
		a.Accounts == b.Accounts && maps.Equal(a.keySets, b.keySets)
}

// compare compiles with a memory and from nothing.
func compare(t *testing.T, w *world, m *Memory, step string) {
	t.Helper()
	s := Snapshot{
		Namespace: "shop", Policies: slices.Clone(w.policies), Workloads: slices.Clone(w.pods), Keys: w.keys, Check: quickly,
	}
	w.Shuffle(len(s.Policies), func(i, j int) { s.Policies[i], s.Policies[j] = s.Policies[j], s.Policies[i] })
	n := naive{Snapshot: s, room: m.room.withDefaults()}
	bundles, outcomes, err := n.compile()
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(bundles, got.Bundles, equal) {
		t.Fatalf("after %s: %s", step, cmp.Diff(bundles, got.Bundles, cmp.AllowUnexported(Bundle{})))
	}
	var want, is []shown
	for _, o := range outcomes {
		want = append(want, show(o.policy, o.problem, o.selected))
	}
	for _, o := range got.Outcomes {
		is = append(is, show(o.Policy, o.Problem, slices.Collect(o.Pods())))
	}
	if d := cmp.Diff(want, is); d != "" {
		t.Fatalf("after %s: %s", step, d)
	}
	again, err := m.Compile(s)
	if err != nil || again.Anew {
		t.Fatalf("the same again counts as new: %v", err)
	}
	for uid, b := range again.Bundles {
		if b != got.Bundles[uid] {
			t.Fatalf("after %s: the same again gives another bundle", step)
		}
	}
}
