package telemetry

import (
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestSummaryCountsRefusalsThatAreAlike(t *testing.T) {
	t.Parallel()
	d := NewDecisionLog(logr.Discard(), LogOptions{})
	refuse := func(second int, id string, reason decision.Reason, rule string) {
		d.Request(&Record{Time: at(second), RequestID: id, Reason: reason, Policy: "shop/orders", Rule: rule, Cause: decision.Because("cause of " + id)})
	}
	refuse(1, "too old", decision.Expired, "")
	refuse(10, "a", decision.DeniedByRule, "no-cooks")
	for i := range 3 {
		refuse(11+i, "b"+string(rune('0'+i)), decision.Expired, "")
	}
	refuse(20, "c", decision.DeniedByRule, "no-cats")
	d.Request(&Record{Time: at(21), RequestID: "good", Reason: decision.Allowed, Forwarded: true})
	got, whole := d.Summary(at(5))
	want := []Refusals{
		{Reason: decision.Expired, Policy: "shop/orders", Count: 3, Last: at(13), RequestID: "b2", Cause: "cause of b2"},
		{Reason: decision.DeniedByRule, Policy: "shop/orders", Rule: "no-cats", Count: 1, Last: at(20), RequestID: "c", Cause: "cause of c"},
		{Reason: decision.DeniedByRule, Policy: "shop/orders", Rule: "no-cooks", Count: 1, Last: at(10), RequestID: "a", Cause: "cause of a"},
	}
	if diff := cmp.Diff(want, got); diff != "" || !whole {
		t.Errorf("whole is %v (-want +got):\n%s", whole, diff)
	}
}

func TestSummaryIsBoundedAndSaysSo(t *testing.T) {
	t.Parallel()
	d := NewDecisionLog(logr.Discard(), LogOptions{})
	for i := range 2 * mostRefused {
		d.Request(&Record{Time: at(i), Reason: decision.DeniedByRule, Rule: string(rune('a' + i%200))})
	}
	if got, whole := d.Summary(at(0)); len(got) != mostSummed || whole {
		t.Errorf("%d kinds, whole is %v; want %d and false", len(got), whole, mostSummed)
	}
}
