package webhook

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// takes asks for a turn in the background, and tells through taken when it has it; end gives it back.
func takes(ctx context.Context, turns *turns, namespace string) (taken chan error, end func()) {
	taken, over := make(chan error, 1), make(chan struct{})
	go func() {
		done, err := turns.take(ctx, namespace)
		taken <- err
		if err == nil {
			<-over
			done()
		}
	}()
	return taken, func() { close(over) }
}

func has(taken chan error) bool {
	synctest.Wait()
	select {
	case err := <-taken:
		return err == nil
	default:
		return false
	}
}

func TestANamespaceHasOneTurnAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(2)
		first, endFirst := takes(t.Context(), turns, "a")
		if !has(first) {
			t.Fatal("nobody is there, and it waits")
		}
		second, endSecond := takes(t.Context(), turns, "a")
		synctest.Wait()
		third, endThird := takes(t.Context(), turns, "a")
		other, endOther := takes(t.Context(), turns, "b")
		if has(second) || has(third) || !has(other) {
			t.Error("a namespace has two turns, or another has none")
		}
		last, endLast := takes(t.Context(), turns, "c")
		if has(last) {
			t.Error("there are three turns in two places")
		}
		endFirst()
		if has(last) == has(second) { // one of them has the place, by chance
			t.Error("a place was not given on")
		}
		endOther()
		if has(third) {
			t.Error("the third comes before the second is through")
		}
		endSecond()
		if !has(third) {
			t.Error("the third is forgotten")
		}
		endThird()
		endLast()
		synctest.Wait()
		if turns.asking != 0 || len(turns.queues) != 0 || len(turns.places) != 0 {
			t.Errorf("something is left: %+v", turns)
		}
	})
}

func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		first, endFirst := takes(t.Context(), turns, "a")
		if !has(first) {
			t.Fatal("nobody is there, and it waits")
		}
		ctx, cancel := context.WithCancel(t.Context())
		same, _ := takes(ctx, turns, "a")
		other, _ := takes(ctx, turns, "b") // has its turn, and waits for a place
		synctest.Wait()
		cancel()
		for _, waiting := range []chan error{same, other} {
			if err := <-waiting; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		endFirst()
		synctest.Wait()
		if turns.asking != 0 || len(turns.queues) != 0 || len(turns.places) != 0 {
			t.Errorf("something is left: %+v", turns)
		}
	})
}

func TestAQueueHasAnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		turns := newTurns(1)
		first, endFirst := takes(ctx, turns, "a")
		if !has(first) {
			t.Fatal("nobody is there, and it waits")
		}
		fill := func(namespace string, n int) (refused int) {
			for range n {
				waiting, _ := takes(ctx, turns, namespace)
				synctest.Wait()
				select {
				case err := <-waiting:
					if errors.Is(err, errCrowded) {
						refused++
					}
				default:
				}
			}
			return refused
		}
		if got := fill("a", waitingOfOne+2); got != 2 {
			t.Errorf("%d of one namespace were refused, want 2", got)
		}
		for i := range waitingOfAll/waitingOfOne - 1 {
			fill(fmt.Sprint("b", i), waitingOfOne)
		}
		if got := fill("c", 3); got != 2 {
			t.Errorf("%d of 3 of a namespace that nobody asked for yet were refused, want 2", got)
		}
		for i := range waitingNamespaces - len(turns.queues) {
			if fill(fmt.Sprint("d", i), 1) != 0 {
				t.Fatalf("a namespace is refused beside %d", len(turns.queues))
			}
		}
		if got := fill("e", 1); got != 1 {
			t.Error("there is no end to all queues together")
		}
		cancel()
		synctest.Wait()
		if turns.asking != 1 {
			t.Errorf("%d wait, want the one that has its turn", turns.asking)
		}
		endFirst()
	})
}

func TestWhoComesFirstWaitsForNoLongQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		var ends []func()
		var taken []chan error
		for range 1 + waitingOfOne { // the first has the place, the second will have the turn
			waiting, end := takes(t.Context(), turns, "many")
			synctest.Wait()
			taken, ends = append(taken, waiting), append(ends, end)
		}
		few, endFew := takes(t.Context(), turns, "few")
		if has(few) || !has(taken[0]) {
			t.Fatal("the place is not that of the first")
		}
		ends[0]()
		if !has(few) || has(taken[1]) {
			t.Error("the second of a namespace has the place before the first of another")
		}
		endFew()
		for i := 1; i < len(ends); i++ {
			if !has(taken[i]) {
				t.Fatalf("number %d is forgotten", i)
			}
			ends[i]()
		}
	})
}

// A large review holds one of few places from before its namespace is known.
func TestANamespaceDoesNotHoldThePlacesOfLargePolicies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(2)
		large := withLarge(t.Context())
		first, endFirst := takes(large, turns, "a")
		if !has(first) {
			t.Fatal("nobody is there, and it waits")
		}
		second, _ := takes(large, turns, "a")
		synctest.Wait()
		began := time.Now()
		third, _ := takes(large, turns, "a")
		if err := <-third; !errors.Is(err, errCrowded) || time.Since(began) > 0 {
			t.Errorf("a namespace holds three places: %v after %s", err, time.Since(began))
		}
		small, endSmall := takes(t.Context(), turns, "a")
		other, endOther := takes(large, turns, "b")
		if !has(other) || has(small) {
			t.Error("another namespace has no turn, or a small one does not wait for its own")
		}
		if err := <-second; !errors.Is(err, errCrowded) || time.Since(began) > largeWait {
			t.Errorf("after %s: %v, want to be refused after %s", time.Since(began), err, largeWait)
		}
		if has(small) {
			t.Error("there are two turns")
		}
		endFirst()
		if !has(small) {
			t.Error("a small one gave up")
		}
		endSmall()
		endOther()
		synctest.Wait()
		if turns.asking != 0 || len(turns.queues) != 0 || len(turns.places) != 0 {
			t.Errorf("something is left: %+v", turns)
		}
	})
}
