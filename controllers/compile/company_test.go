package compile_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

func TestCompany(t *testing.T) {
	t.Parallel()
	selecting := func(app string) policy.Selector {
		return policy.Selector{MatchLabels: map[string]string{"app": app}}
	}
	pods := []map[string]string{{"app": "orders", "pod-template-hash": "1"}, {"app": "orders", "pod-template-hash": "2"}, {"app": "billing"}}
	old := func(n, issuers int, s policy.Selector) (out []compile.Neighbour) {
		for i := range n {
			out = append(out, compile.Neighbour{Name: fmt.Sprintf("p%d", i), Created: time.Unix(int64(100+i), 0), Selector: s, Issuers: issuers})
		}
		return out
	}
	const none = "spec.selector: selects none of the %d pods in the namespace: the policy guards nothing yet"
	const crowd = "spec.issuers: with this policy, %d issuers come together on a pod that it selects; want at most 64. Older policies come first, so these allow nothing there: %s"
	for name, tc := range map[string]struct {
		policy compile.Neighbour
		others []compile.Neighbour
		pods   []map[string]string
		want   []string
	}{
		"a policy that selects pods":                {compile.Neighbour{Name: "new", Selector: selecting("orders"), Issuers: 16}, old(3, 16, selecting("orders")), pods, nil},
		"one for all pods":                          {compile.Neighbour{Name: "new"}, nil, pods, nil},
		"one for all pods, of which there are none": {compile.Neighbour{Name: "new"}, nil, nil, nil},
		"one that selects none":                     {compile.Neighbour{Name: "new", Selector: selecting("order")}, nil, pods, []string{fmt.Sprintf(none, 3)}},
		"one before its pods":                       {compile.Neighbour{Name: "new", Selector: selecting("orders")}, nil, nil, []string{fmt.Sprintf(none, 0)}},
		"the 65th issuer of a pod":                  {compile.Neighbour{Name: "new", Selector: selecting("orders"), Issuers: 1}, old(4, 16, selecting("orders")), pods, []string{fmt.Sprintf(crowd, 65, "new")}},
		"one without a name yet":                    {compile.Neighbour{Selector: selecting("orders"), Issuers: 1}, old(4, 16, policy.Selector{}), pods, []string{fmt.Sprintf(crowd, 65, "this policy")}},
		"issuers of policies for other pods":        {compile.Neighbour{Name: "new", Selector: selecting("orders"), Issuers: 1}, old(4, 16, selecting("billing")), pods, nil},
		"an edit of the policy itself":              {compile.Neighbour{Name: "p3", Created: time.Unix(103, 0), Selector: selecting("orders"), Issuers: 16}, old(4, 16, selecting("orders")), pods, nil},
		"an older policy puts younger ones out": {
			compile.Neighbour{Name: "p0", Created: time.Unix(100, 0), Selector: selecting("orders"), Issuers: 16}, old(10, 8, selecting("orders")), pods,
			[]string{fmt.Sprintf(crowd, 88, "p7, p8, p9")},
		},
		"metadata at the path of one that comes first": {
			compile.Neighbour{Name: "new", Selector: selecting("orders"), Metadata: "/m"},
			[]compile.Neighbour{{Name: "b", Metadata: "/m", Selector: selecting("billing")}, {Name: "c", Metadata: "/n"}, {Name: "d", Metadata: "/m"}}, pods,
			[]string{"spec.resource.url: is never told: clients get what policy d of the same pods says at /m, since it is the first by name; " +
				"want another path, or spec.resource in one of the two"},
		},
		"metadata at the path of one that comes later": {
			compile.Neighbour{Name: "new", Metadata: "/m"}, []compile.Neighbour{{Name: "new", Metadata: "/m"}, {Name: "old", Metadata: "/m"}}, pods,
			[]string{"spec.resource.url: policy old of the same pods has metadata at /m too: clients get those of this policy now, the first by name"},
		},
		"the names are bounded": {
			compile.Neighbour{Name: "new", Selector: selecting("orders"), Issuers: 16}, old(10, 16, selecting("orders")), pods, []string{fmt.Sprintf(crowd, 176, "p4, p5, p6 and 4 more")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, compile.Company(tc.policy, tc.others, tc.pods)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
