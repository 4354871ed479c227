package isolate_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/isolate"
)

// crowd is policies that all select pods with as many different ports; a policy is older than those before it.
func crowd(policies, sets int) []compile.Outcome {
	var pods []compile.Workload
	for i := range sets {
		pods = append(pods, pod(fmt.Sprintf("pod-%03d", i), strconv.Itoa(10000+i)))
	}
	out := make([]compile.Outcome, policies)
	for i := range out {
		out[i] = asking(pods...)
		out[i].Policy.Name, out[i].Policy.UID = fmt.Sprintf("p%04d", i), fmt.Sprint("u", i)
		out[i].Policy.Created = time.Unix(int64(1e9-i), 0)
	}
	return out
}

func names(list []*networkingv1.NetworkPolicy) (out []string) {
	for _, n := range list {
		out = append(out, n.Name)
	}
	return out
}

// Policies times sets of ports have no bound; the NetworkPolicies of a namespace do.
func TestANamespaceHasABoundedNumberOfNetworkPolicies(t *testing.T) {
	t.Parallel()
	all := crowd(5000, 100)
	plan := isolate.For(all, nil)
	for _, name := range names(plan.Create) {
		if !strings.HasPrefix(name, "p4999-") {
			t.Fatalf("%s is made, which is not the oldest policy's", name)
		}
	}
	if len(plan.Create) != isolate.Most || len(plan.Troubles) != 4999 {
		t.Errorf("%d are made, and %d policies are told; want %d and 4999", len(plan.Create), len(plan.Troubles), isolate.Most)
	}
	const told = "none is made for ports 10000, since the namespace has 100, the most that it may have"
	if got := plan.Troubles["p0000"]; got != told {
		t.Errorf("the youngest is told %q, want %q", got, told)
	}
	again := isolate.For(all, plan.Create)
	if got := outline(isolate.Plan{Create: again.Create, Update: again.Update, Delete: again.Delete}); got != nil {
		t.Errorf("they are not left alone: %v", got)
	}
}

func TestWhatIsThereStaysWhenThereIsNoRoom(t *testing.T) {
	t.Parallel()
	young := crowd(1, 70)
	have := isolate.For(young, nil).Create
	both := crowd(2, 70) // with one that is older
	plan := isolate.For(both, have)
	if len(plan.Delete) != 0 || len(plan.Create) != 30 || plan.Create[0].Name != "p0001-10000" || plan.Create[29].Name != "p0001-10029" {
		t.Fatalf("created %v, deleted %v", names(plan.Create), names(plan.Delete))
	}
	const told = "none is made for ports 10030, since the namespace has 100, the most that it may have"
	if got := plan.Troubles; len(got) != 1 || got["p0001"] != told {
		t.Errorf("told %v", got)
	}

	more := slices.Concat(have, isolate.For(crowd(2, 70)[1:], nil).Create) // 140: from before there was a bound
	if got := outline(isolate.For(both, more)); got != nil {
		t.Errorf("what is wanted and there is touched: %v", got)
	}

	both[0].Policy.NetworkPolicy = false // its 70 go, and make room
	if plan := isolate.For(both, have); len(plan.Delete) != 70 || len(plan.Create) != 70 || len(plan.Troubles) != 0 {
		t.Errorf("created %v, deleted %v, told %v", names(plan.Create), names(plan.Delete), plan.Troubles)
	}
	both[0].Policy.Unreadable = errors.New("x") // whether it asks is not known: they stay, and count
	if plan := isolate.For(both, have); len(plan.Delete) != 0 || len(plan.Create) != 30 {
		t.Errorf("created %v, deleted %v", names(plan.Create), names(plan.Delete))
	}
}
