package dashboard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard/dashboardtest"
)

func now() time.Time { return time.Date(2026, 11, 28, 12, 0, 30, 0, time.UTC) }

func gathered(t *testing.T, f *dashboardtest.Fleet) dashboard.State {
	t.Helper()
	return dashboard.NewWatcher(f, dashboard.About{Context: "test"}, now).Gather(t.Context())
}

func TestTheFleetShowsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := gathered(t, dashboardtest.Shop(now))
	if want := (dashboard.Pods{Total: 49, Guarded: 38, Bypassable: 1, Bare: 1, Unready: 1, Uncovered: 3, Audited: 5}); s.Pods != want {
		t.Errorf("pods %+v, want %+v", s.Pods, want)
	}
	var got []string
	for _, f := range s.Findings {
		got = append(got, fmt.Sprintf("%s %s/%s: %s", f.Level, f.Namespace, f.Name, f.Title))
		if f.Do == "" || strings.Contains(strings.Join(f.Try, " "), "NAME") || strings.Contains(strings.Join(f.Try, " "), "WORKLOAD") {
			t.Errorf("%s: do %q, try %q", f.Title, f.Do, f.Try)
		}
	}
	want := []string{
		"bad pay/deploy/ledger: Answers 503: KeysUnavailable",
		"bad pay/invoices: Can be reached past the sidecar",
		"bad pay/ledger: Keys cannot be read",
		"bad shop/deploy/cart: Pods without a sidecar",
		"warn media/deploy/uploads: No policy selects its pods",
		"warn media/deploy/uploads: Answers 403: NoPolicy",
		"warn pay/checkout: Keys cannot be read",
		"warn pay/deploy/checkout: Sidecar is not ready",
		"warn shop/deploy/catalog: Audit alone: nothing is refused",
		"warn shop/deploy/catalog: Sidecars of several releases",
		"warn shop/orders: Sidecars are behind",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i, name := range []string{"deploy/invoices", "deploy/ledger", "deploy/cart", "deploy/uploads"} {
		if s.Workloads[i].Name != name {
			t.Errorf("workload %d is %s, want %s: the worst are first", i, s.Workloads[i].Name, name)
		}
	}
	if slices.ContainsFunc(s.Workloads, func(w dashboard.Workload) bool { return w.Name == "deploy/batch" }) {
		t.Error("a workload without policy and sidecar is shown")
	}
}

func TestOfAWellFleetNothingIsWrong(t *testing.T) {
	t.Parallel()
	s := gathered(t, dashboardtest.Well(now))
	if len(s.Findings) > 0 || len(s.Troubles) > 0 || s.Pods.Total != 9 || s.Pods.Guarded != 9 || s.Refusals.Asked != 9 || s.Refusals.Count != 0 {
		t.Errorf("%+v", s)
	}
	if k := s.Policies[0].Keys[0]; len(k.Held) != 2 || k.HeldBy == "" || k.Fetch == nil {
		t.Errorf("keys %+v", k)
	}
	s = gathered(t, dashboardtest.Empty(now))
	if len(s.Policies)+len(s.Findings) > 0 || !s.PoliciesKnown || s.Loading {
		t.Errorf("of an empty cluster: %+v", s)
	}
}

func TestAPolicySaysWhatIsRefusedByIt(t *testing.T) {
	t.Parallel()
	s := gathered(t, dashboardtest.Shop(now))
	at := slices.IndexFunc(s.Policies, func(p dashboard.Policy) bool { return p.Name == "orders" })
	p := s.Policies[at]
	if p.Selector != "app=orders" || p.Rules != 3 || !slices.Equal(p.Workloads, []string{"deploy/orders"}) || p.Level != dashboard.Warn {
		t.Errorf("%+v", p)
	}
	n := 0
	for _, g := range s.Refusals.Groups {
		if g.Policy == "shop/orders" {
			n += g.Count
			if g.Reason == decision.InsufficientScope && (g.Rule != "read" || !g.Nearest || g.Failed == "" || g.Example == "") {
				t.Errorf("%+v", g)
			}
		}
	}
	if p.Refused == 0 || p.Refused != n {
		t.Errorf("the policy refused %d, its groups %d", p.Refused, n)
	}
}

func TestRefusalsAreCountedByMinute(t *testing.T) {
	t.Parallel()
	at := func(ago time.Duration, cause string) admin.Request {
		return admin.Request{Time: now().Add(-ago), Decision: "deny", Reason: decision.Expired, Cause: cause, RequestID: cause}
	}
	r := dashboard.Count([]admin.Request{at(0, "a"), at(20*time.Second, "a"), at(time.Minute, "b"), at(9*time.Minute, "a"), at(10*time.Minute, "a")}, now())
	if r.Count != 4 || r.Minutes != (dashboard.Minutes{1, 0, 0, 0, 0, 0, 0, 0, 1, 2}) || r.AtLeast {
		t.Errorf("%+v", r)
	}
	if len(r.Groups) != 2 || r.Groups[0].Count != 3 || r.Groups[0].Cause != "a" || r.Reasons[0].Status != 401 || r.Reasons[0].Do == "" {
		t.Errorf("%+v", r.Groups)
	}
	var many []admin.Request
	for i := range dashboard.MostRefusals {
		many = append(many, at(time.Duration(i)*time.Millisecond, fmt.Sprint("cause ", i)))
	}
	r = dashboard.Count(many, now())
	if !r.AtLeast || r.Count != dashboard.MostRefusals || len(r.Groups) != dashboard.MostGroups+1 || len(r.Recent) != 20 {
		t.Errorf("of many: %d, at least %v, %d groups, %d recent", r.Count, r.AtLeast, len(r.Groups), len(r.Recent))
	}
	if r.Groups[0].Cause != "" || r.Groups[0].Count != dashboard.MostRefusals-dashboard.MostGroups {
		t.Errorf("the rest is not one group: %+v", r.Groups[0])
	}
}

func TestEachWorkloadIsSoonHeard(t *testing.T) {
	t.Parallel()
	f := dashboardtest.Large(now)
	first := dashboard.Turns(f.AllPods, nil, now())
	if len(first) != dashboard.MostAsked {
		t.Fatalf("%d are asked at once", len(first))
	}
	owners := map[string]bool{}
	for _, name := range first {
		owners[name[:strings.LastIndex(name, "-")]] = true
	}
	if len(owners) != 58 {
		t.Errorf("%d workloads are heard first, want all 58", len(owners))
	}
	asked := map[types.UID]time.Time{}
	at := now()
	for range 20 {
		at = at.Add(dashboard.Every * 2)
		for _, name := range dashboard.Turns(f.AllPods, asked, at) {
			asked[f.AllPods[slices.IndexFunc(f.AllPods, func(p corev1.Pod) bool { return p.Name == name })].UID] = at
		}
	}
	if len(asked) < 1000 {
		t.Errorf("%d pods of %d are asked in 20 rounds", len(asked), len(f.AllPods))
	}
}

func TestWithoutThePoliciesNothingIsSaidOfPods(t *testing.T) {
	t.Parallel()
	f := dashboardtest.Shop(now)
	f.Break(dashboardtest.ForbiddenPolicies)
	s := gathered(t, f)
	if len(s.Workloads)+len(s.Findings)+s.Pods.Total > 0 || s.PoliciesKnown || !s.PodsKnown || len(s.Troubles) != 1 {
		t.Errorf("%d workloads, %+v, %+v", len(s.Workloads), s.Pods, s.Findings)
	}
	f.Break(dashboardtest.Forbidden)
	s = gathered(t, f)
	for _, w := range s.Workloads {
		if w.Heard > 0 || w.List[0].Heard {
			t.Errorf("%s has been heard", w.Name)
		}
	}
}
