package aside

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var changes atomic.Int64
		s := New(func() { changes.Add(1) })
		want := func(what string, aside bool, n int64) {
			t.Helper()
			synctest.Wait()
			if got, changed := !s.Until().IsZero(), changes.Load(); got != aside || changed != n {
				t.Errorf("%s: aside %t after %d changes; want %t after %d", what, got, changed, aside, n)
			}
		}
		s.Back()
		want("one that is there comes back", false, 0)
		s.Step(time.Minute)
		want("it steps aside", true, 1)
		time.Sleep(30 * time.Second)
		s.Step(time.Minute)
		time.Sleep(40 * time.Second)
		want("asked again, it counts from then", true, 1)
		time.Sleep(21 * time.Second)
		want("it comes back by itself", false, 2)
		s.Step(time.Hour)
		if got := time.Until(s.Until()); got != Most {
			t.Errorf("for an hour: %s; want %s", got, Most)
		}
		s.Back()
		want("it comes back when told", false, 4)
		time.Sleep(time.Hour)
		want("no timer is left", false, 4)
	})
}
