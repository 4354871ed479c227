package telemetry_test

import (
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

func TestLoopsAreAskedWhenCollected(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	held, relieved := uint64(2), uint64(4)
	if err := telemetry.RegisterLoops(reg, func() uint64 { return held }, func() uint64 { return relieved }); err != nil {
		t.Fatal(err)
	}
	held, relieved = 3, 5
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, one := range all {
		got[one.GetName()] = one.GetMetric()[0].GetCounter().GetValue()
	}
	if want := map[string]float64{"bearerguard_loop_held_total": 3, "bearerguard_connections_relieved_total": 5}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
