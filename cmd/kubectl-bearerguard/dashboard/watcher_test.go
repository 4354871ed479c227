package dashboard_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard/dashboardtest"
)

// watch runs a watcher of a fleet in a bubble of time.
func watch(t *testing.T, fleet func(func() time.Time) *dashboardtest.Fleet, test func(*testing.T, *dashboardtest.Fleet, *dashboard.Watcher)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := fleet(time.Now)
		w := dashboard.NewWatcher(f, dashboard.About{}, time.Now)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		test(t, f, w)
		stop()
		<-done
	})
}

func TestNothingIsAskedWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	watch(t, dashboardtest.Shop, func(t *testing.T, f *dashboardtest.Fleet, w *dashboard.Watcher) {
		time.Sleep(time.Minute)
		if f.Lists.Load() > 0 || f.Asked.Load() > 0 {
			t.Fatalf("%d lists and %d sidecars are asked", f.Lists.Load(), f.Asked.Load())
		}
		if s := w.State(); !s.Loading {
			t.Errorf("before anything is known: %+v", s)
		}
		synctest.Wait()
		for range 50 { // many tabs
			if s := w.State(); s.Loading || s.Pods.Total == 0 {
				t.Fatalf("%+v", s)
			}
		}
		if f.Lists.Load() != 2 {
			t.Errorf("%d lists for all who look", f.Lists.Load())
		}
		time.Sleep(dashboard.Every + time.Second)
		synctest.Wait()
		if f.Lists.Load() != 4 {
			t.Errorf("%d lists after a while", f.Lists.Load())
		}
	})
}

func TestSomeSidecarsAreAskedAtATime(t *testing.T) {
	t.Parallel()
	watch(t, dashboardtest.Large, func(t *testing.T, f *dashboardtest.Fleet, w *dashboard.Watcher) {
		w.State()
		synctest.Wait()
		s := w.State()
		if f.AtOnce.Load() > dashboard.Parallel {
			t.Errorf("%d sidecars are asked at once", f.AtOnce.Load())
		}
		if s.Refusals.Asked != dashboard.MostAsked || s.Refusals.Sidecars < 1000 {
			t.Errorf("asked %d of %d", s.Refusals.Asked, s.Refusals.Sidecars)
		}
	})
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault dashboardtest.Fault
		kind  dashboard.Kind
		whats []string
	}{
		"no right to ask sidecars":     {dashboardtest.Forbidden, dashboard.Forbidden, []string{"sidecars"}},
		"no right to anything":         {dashboardtest.ForbiddenAll, dashboard.Forbidden, []string{"policies", "pods", "sidecars"}},
		"a cluster that is away":       {dashboardtest.Unreachable, dashboard.Unreachable, []string{"policies", "pods", "sidecars"}},
		"a cluster that never answers": {dashboardtest.Hangs, dashboard.Unreachable, []string{"policies", "pods"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watch(t, dashboardtest.Shop, func(t *testing.T, f *dashboardtest.Fleet, w *dashboard.Watcher) {
				w.State()
				synctest.Wait()
				before := w.State()
				f.Break(tt.fault)
				time.Sleep(2 * time.Minute)
				w.State()
				time.Sleep(2 * time.Minute)
				s := w.State()
				var whats []string
				for _, trouble := range s.Troubles {
					whats = append(whats, trouble.What)
					if trouble.Kind != tt.kind || trouble.Do == "" || trouble.Text == "" {
						t.Errorf("%+v", trouble)
					}
				}
				for _, what := range tt.whats {
					if len(whats) == 0 || whats[0] != what {
						t.Errorf("troubles %v, want %v", whats, tt.whats)
						break
					}
					whats = whats[1:]
				}
				if s.Pods.Total != before.Pods.Total || len(s.Policies) != len(before.Policies) {
					t.Error("what was known is gone")
				}
				f.Break(dashboardtest.None)
				for range 4 {
					time.Sleep(2 * time.Minute)
					w.State()
				}
				synctest.Wait()
				if s := w.State(); len(s.Troubles) > 0 {
					t.Errorf("it is over, and yet: %+v", *s.Troubles[0])
				}
			})
		})
	}
}
