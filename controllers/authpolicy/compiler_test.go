package authpolicy

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

func TestWhoWorksRests(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	var p pace
	if r := p.rest(began); r != 0 {
		t.Errorf("one that has not worked rests for %s", r)
	}
	for worked, want := range map[time.Duration]time.Duration{
		time.Millisecond: 3 * time.Millisecond, time.Second: 3 * time.Second, 20 * time.Second: time.Minute, time.Minute: time.Minute,
	} {
		ended := began.Add(worked)
		p.worked(began, ended)
		if r := p.rest(ended); r != want {
			t.Errorf("after %s it rests for %s, want %s", worked, r, want)
		}
		if r := p.rest(ended.Add(want)); r != 0 {
			t.Errorf("after its rest it rests for %s", r)
		}
	}
}

// A policy that changes all the time costs a quarter of a processor, and none of the workers waits.
func TestANamespaceThatChangesAllTheTimeHasAQuarterOfAProcessor(t *testing.T) {
	t.Parallel()
	const work = 40 * time.Millisecond
	s := &shelf{}
	s.policy("p", "a", 0)
	c := newCompiler(t, s)
	reconcileOnce(t, c)
	began := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	now := began
	c.now = func() time.Time { return now }
	s.asked = func() { now = now.Add(work) }
	c.space("shop").pace = pace{}
	worked := time.Duration(0)
	for turn := 1; now.Before(began.Add(time.Minute)); turn++ {
		s.policy("p", "a", turn)
		before := now
		r, err := c.Reconcile(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		if worked += now.Sub(before); turn == 1 && r.RequeueAfter > 0 {
			t.Error("a quiet namespace has to wait")
		}
		now = now.Add(r.RequeueAfter)
	}
	if all := now.Sub(began); worked > all/4+work || worked < all/5 {
		t.Errorf("the namespace worked for %s of %s", worked, all)
	}
}

func TestPodsOfKnownLabelsAreNotCompiledFor(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.policy("p", "a", 0)
	s.pod("standing", "a")
	c := newCompiler(t, s)
	reconcileOnce(t, c)
	compiled := func(why string, more float64, change func()) {
		t.Helper()
		before := testutil.ToFloat64(c.metrics.compiles)
		change()
		reconcileOnce(t, c)
		if got := testutil.ToFloat64(c.metrics.compiles) - before; got != more {
			t.Errorf("%s: compiled %v times, want %v", why, got, more)
		}
	}
	given := func(pod string) []byte { return c.space("shop").load().Bundles[pod].Encoded }
	compiled("the same again", 0, func() {})
	compiled("a pod comes", 0, func() { s.pod("guest", "a") })
	if !bytes.Equal(given("guest"), given("standing")) {
		t.Error("the guest got another bundle")
	}
	compiled("a pod goes", 0, func() { s.pods = s.pods[:1] })
	compiled("a pod of new labels comes", 1, func() { s.pod("other", "b") })
	compiled("a policy is edited", 1, func() { s.policy("p", "a", 1) })
	compiled("a policy is new", 1, func() { s.policy("q", "b", 0) })
	compiled("a policy goes", 1, func() { s.policies = s.policies[:1] })
}

func TestANamespaceWaitsForItsKeysWithoutAWorker(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.policy("p", "a", 0)
	s.policies[0].Spec = bytes.ReplaceAll(s.policies[0].Spec, []byte(`"name":"corp","key"`), []byte(`"name":"hangs","key"`))
	s.pod("w", "a")
	c := newCompiler(t, s)
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c.now = func() time.Time { return now }
	waits := func(want time.Duration) {
		t.Helper()
		r, err := c.Reconcile(t.Context(), "shop")
		if err != nil || r.RequeueAfter != want {
			t.Errorf("it waits for %s, want %s; %v", r.RequeueAfter, want, err)
		}
	}
	waits(settleFirst)
	now = now.Add(time.Second)
	waits(settleFirst - time.Second)
	if c.space("shop").load() != nil {
		t.Fatal("compiled before the keys were there")
	}
	now = now.Add(settleFirst - time.Second)
	waits(0)
	if c.space("shop").load() == nil {
		t.Fatal("not compiled, though the keys have been waited for")
	}
	s.policy("q", "a", 0)
	waits(settleLater)
}

func TestPoliciesAreDecodedOncePerGeneration(t *testing.T) {
	t.Parallel()
	s, d := &shelf{}, decoded{}
	for i := range 3 {
		s.policy(fmt.Sprint("p", i), "a", 0)
	}
	was := d.read(s.policies)
	s.policies[0].ResourceVersion = "another" // a status
	s.policy("p1", "a", 1)
	is := d.read(s.policies[:2])
	if is[0] != was[0] || is[1] == was[1] || is[1].Generation != 2 {
		t.Error("want the first as it was and the second anew")
	}
	if len(d) != 2 {
		t.Errorf("%d policies are remembered, want the 2 that there are", len(d))
	}
}

func TestAnEmptyNamespaceIsForgotten(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.policy("p", "a", 0)
	c := newCompiler(t, s)
	reconcileOnce(t, c)
	s.policies = nil
	reconcileOnce(t, c)
	if len(c.spaces) > 0 {
		t.Error("it is remembered")
	}
}

func TestPodsThatComeTogetherCountOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
		defer q.ShutDown()
		h := toNamespaceLater[*metav1.PartialObjectMetadata]()
		pod := podMetadata()
		pod.Namespace = "shop"
		for range 50 {
			h.Create(t.Context(), event.TypedCreateEvent[*metav1.PartialObjectMetadata]{Object: pod}, q)
			h.Delete(t.Context(), event.TypedDeleteEvent[*metav1.PartialObjectMetadata]{Object: pod}, q)
			time.Sleep(time.Millisecond) // of the bubble's clock
		}
		h.Update(t.Context(), event.TypedUpdateEvent[*metav1.PartialObjectMetadata]{ObjectOld: pod, ObjectNew: pod}, q)
		if q.Len() > 0 {
			t.Error("the namespace is looked at before the pause is over")
		}
		time.Sleep(ackPause)
		synctest.Wait()
		if q.Len() != 1 {
			t.Errorf("%d looks are due, want 1", q.Len())
		}
		q.Get()
		q.Done("shop")
		time.Sleep(ackPause)
		synctest.Wait()
		if q.Len() > 0 {
			t.Error("the namespace is looked at twice")
		}
	})
}
