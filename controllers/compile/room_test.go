package compile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// bulky is a policy of 4 MiB that selects the pods with a label.
func bulky(name, label string) *compile.Policy {
	p := good(name, "")
	p.Selector = policy.Selector{}
	if label != "" {
		p.Selector.MatchLabels = map[string]string{label: ""}
	}
	values := make([]string, 256)
	for i := range values {
		values[i] = fmt.Sprintf("%04d", i) + strings.Repeat("v", 1020)
	}
	p.Spec.Issuers = []policy.Issuer{{Name: "idp", Issuer: "https://idp.example", AnyAudience: true, Keys: policy.KeySource{Kubernetes: &policy.KubernetesKeys{}}}}
	p.Spec.Rules = []policy.Rule{{Name: "bulk", Allow: &policy.Allow{Authenticated: true}}}
	for range 16 {
		p.Spec.Rules[0].Allow.Claims = append(p.Spec.Rules[0].Allow.Claims, policy.ClaimCondition{Claim: "a", AnyOf: values})
	}
	return p
}

func TestALabelForEachPodDoesNotMultiplyThePolicies(t *testing.T) {
	t.Parallel()
	s := compile.Snapshot{Check: func([]compile.Policy) error { return nil }}
	for i := range 8 {
		s.Policies = append(s.Policies, bulky(fmt.Sprintf("p%d", i), ""))
	}
	for i := range 6 {
		label := fmt.Sprintf("l%d", i)
		own := good("own"+label, "")
		own.Selector.MatchLabels = map[string]string{label: ""}
		s.Policies = append(s.Policies, own)
		w := pod("w"+label, "orders")
		w.Labels[label] = ""
		s.Workloads = append(s.Workloads, w)
	}
	r := mustCompile(t, s)
	total := 0
	for _, b := range r.Bundles {
		total += len(b.Encoded)
	}
	if total < bundle.MaxSize || total > 2*bundle.MaxSize+1<<20 {
		t.Errorf("the bundles have %d bytes", total)
	}
	if n := len(r.Bundles["uid-wl0"].Encoded); n < 32<<20 {
		t.Error("there is room for the first pod, but it got stand-ins")
	}
	last := decode(t, r.Bundles["uid-wl5"])
	if n := len(last.Policies); n != 9 {
		t.Errorf("the last pod has %d policies, want a stand-in for each of 9", n)
	}
	for _, p := range last.Policies {
		if len(p.Spec.Rules) > 0 {
			t.Errorf("policy %s, for which there is no room, allows something", p.Name)
		}
	}
	if got := problem(t, r, "p0"); !strings.Contains(got, "too large") {
		t.Errorf("problem %q; want it said", got)
	}
	if got := problem(t, r, "ownl0"); got != "" {
		t.Errorf("policy ownl0, for whose pod there was room, has the problem %q", got)
	}
}

func TestABundleThatNoSidecarTakes(t *testing.T) {
	t.Parallel()
	s := compile.Snapshot{Check: func([]compile.Policy) error { return nil }, Workloads: []compile.Workload{pod("w", "orders")}}
	for i := range 17 {
		s.Policies = append(s.Policies, bulky(fmt.Sprintf("p%d", i), ""))
	}
	r := mustCompile(t, s)
	if n := len(r.Bundles["uid-w"].Encoded); n > 1<<20 {
		t.Errorf("the bundle has %d bytes; a sidecar takes %d", n, bundle.MaxSize)
	}
}

// Stand-ins keep the identity headers of their policies, so they can be large as well.
func TestStandInsTakeNoMoreThanThereIs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policies, pods int
		claim          string
		whole          int // how many of the pods are given the policies as written
	}{
		"policies of 16 MiB, and pods with labels of their own": {policies: 1500, pods: 14, claim: strings.Repeat("c", 256), whole: 8},
		"policies that are larger than a bundle may be":         {policies: 1500, pods: 3, claim: "['" + strings.Repeat("<", 252) + "']"}, // JSON escapes it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := compile.Snapshot{Policies: forwarding(tc.policies, tc.claim)}
			for i := range tc.pods {
				app := fmt.Sprintf("a%02d", i)
				own := good(app, app)
				own.Spec.Mode = policy.Audit
				s.Policies = append(s.Policies, own)
				s.Workloads = append(s.Workloads, pod(app, app))
			}
			r := mustCompile(t, s)
			total, refusing := 0, r.Bundles[s.Workloads[tc.pods-1].UID]
			distinct := map[*compile.Bundle]bool{}
			for _, b := range r.Bundles {
				if !distinct[b] {
					distinct[b] = true
					total += len(b.Encoded)
				}
			}
			if total > 2*bundle.MaxSize+len(refusing.Encoded) || len(refusing.Encoded) > 1<<10 {
				t.Errorf("the bundles have %d bytes, the last %d", total, len(refusing.Encoded))
			}
			if len(distinct) != tc.whole+1 || len(refusing.Ref.Policies) > 0 {
				t.Errorf("there are %d bundles, and the last one names policies: %v", len(distinct), refusing.Ref.Policies)
			}
			got := program(t, refusing).Decide(&decision.Request{Method: "GET", Host: "h", Path: "/x", Now: start}, nil)
			if got.Reason != decision.DeniedByRule {
				t.Errorf("a pod for which there is no room answers %s", got.Reason)
			}
			for i, w := range s.Workloads {
				if is := r.Bundles[w.UID] == refusing; is != (i >= tc.whole) {
					t.Errorf("pod %s is refused all: %t", w.Name, is)
				}
				if got := problem(t, r, w.Name); strings.Contains(got, "too large") != (i >= tc.whole) {
					t.Errorf("policy %s has the problem %q", w.Name, got)
				}
			}
		})
	}
}

// forwarding are valid policies of 11 KB that select all pods; of 50 KB if JSON escapes the claim.
func forwarding(n int, claim string) []*compile.Policy {
	f := &policy.Forward{}
	for i := range 32 {
		f.Headers = append(f.Headers, policy.IdentityHeader{Name: fmt.Sprintf("X-%02d-%s", i, strings.Repeat("n", 58)), Claim: claim})
	}
	out := make([]*compile.Policy, n)
	for i := range out {
		out[i] = good(fmt.Sprintf("p%04d", i), "")
		out[i].Selector = policy.Selector{}
		out[i].Spec.Forward = f
	}
	return out
}
