package telemetry_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

func TestHeldLoopsAreAskedForWhenCollected(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	held := uint64(2)
	if err := telemetry.RegisterLoops(reg, func() uint64 { return held }); err != nil {
		t.Fatal(err)
	}
	held = 3
	all, err := reg.Gather()
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if name, n := all[0].GetName(), all[0].GetMetric()[0].GetCounter().GetValue(); name != "bearerguard_loop_held_total" || n != 3 {
		t.Errorf("got %s %v", name, n)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
