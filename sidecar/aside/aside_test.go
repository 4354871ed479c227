package aside

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		changes := 0
		s := New(func() { changes++ })
		want := func(what string, aside bool, n int) {
			t.Helper()
			synctest.Wait()
			if got := !s.Until().IsZero(); got != aside || changes != n {
				t.Errorf("%s: aside %t after %d changes; want %t after %d", what, got, changes, aside, n)
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
