package gate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

func TestATokenOfARotatedKeyWaitsForTheKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rotated := gatetest.NewIssuer(corp.URL, "k2")
		spec := orders()
		spec.Issuers[0].Keys.JWKS = rotated.JWKS()
		next := gatetest.Snapshot(t, time.Now, nil, gatetest.Policy("orders", spec))
		var g *gate.Gate
		g = gate.New(gate.Options{OnUnknownKey: func(string) {
			time.AfterFunc(100*time.Millisecond, func() { g.Swap(gatetest.Snapshot(t, time.Now, nil, gatetest.Policy("orders", orders()))) })
			time.AfterFunc(200*time.Millisecond, func() { g.Swap(next) })
		}})
		g.Swap(gatetest.Snapshot(t, time.Now, nil, gatetest.Policy("orders", orders())))
		begin := time.Now()
		v := g.JudgeWaiting(t.Context(), get("/orders/1", bearer(rotated.Token(begin, map[string]any{"scope": "orders.read"}))...))
		if !v.Forward {
			t.Errorf("refused for %s, want forwarded", v.Reason)
		}
		if took := time.Since(begin); took != 200*time.Millisecond {
			t.Errorf("took %s, want until the keys came", took)
		}
		time.Sleep(time.Second) // fake: lets the timers of the test end
	})
}

func TestATokenOfAMadeUpKeyWaitsOnceInAWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(gate.Options{OnUnknownKey: func(string) {}})
		g.Swap(gatetest.Snapshot(t, time.Now, nil, gatetest.Policy("orders", orders())))
		ask := func() time.Duration {
			begin := time.Now()
			v := g.JudgeWaiting(t.Context(), get("/orders/1", bearer(gatetest.NewIssuer(corp.URL, "made-up").Token(begin, nil))...))
			if v.Reason != decision.UnknownKey {
				t.Errorf("got %s, want UnknownKey", v.Reason)
			}
			return time.Since(begin)
		}
		if took := ask(); took != 3*time.Second {
			t.Errorf("the first took %s, want the whole wait", took)
		}
		if took := ask(); took != 0 {
			t.Errorf("the second took %s, want none: the keys were asked for already", took)
		}
	})
}

func TestNobodyWaitsWhereNobodyFetches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(gate.Options{})
		g.Swap(gatetest.Snapshot(t, time.Now, nil, gatetest.Policy("orders", orders())))
		begin := time.Now()
		g.JudgeWaiting(t.Context(), get("/orders/1", bearer(gatetest.NewIssuer(corp.URL, "other").Token(begin, nil))...))
		if took := time.Since(begin); took != 0 {
			t.Errorf("took %s", took)
		}
	})
}
