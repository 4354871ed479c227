package push

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnEditForFewDoesNotWaitBehindOneForThousands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(turnsAtATime)
		size := turns.free
		var order []string
		got := make(chan string)
		stand := func(namespace string) {
			turns.take(namespace, func(func()) { got <- namespace })
			synctest.Wait()
		}
		for range size {
			stand("big")
			<-got
		}
		for range 1000 {
			stand("big")
		}
		stand("small")
		for range size { // turns that end at once go to as many streams, which come here in any order
			order = append(order, <-got)
		}
		if !slices.Contains(order, "small") {
			t.Errorf("the next %d turns went to big alone; want small among them", size)
		}
		for range 1001 - size {
			<-got
		}
		time.Sleep(longestTurn)
		synctest.Wait()
		if turns.free != size || len(turns.waiting) != 0 {
			t.Errorf("%d of %d turns are free, %d namespaces wait; want all and none", turns.free, size, len(turns.waiting))
		}
	})
}

func TestATurnEndsOnceAndIsNotLostWithItsStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(turnsAtATime)
		size := turns.free
		turns.free = 1
		ends := make(chan func(), 1)
		turns.take("a", func(end func()) { ends <- end })
		end := <-ends
		began := false
		turns.take("a", func(end func()) { began = true; end() }) // as a stream that has ended does
		synctest.Wait()
		if began {
			t.Error("two have the one turn that there is")
		}
		end()
		end()
		synctest.Wait()
		if !began {
			t.Error("the turn was not passed on")
		}
		time.Sleep(2 * longestTurn)
		synctest.Wait()
		if turns.free != 1 {
			t.Errorf("%d turns are free; want 1 of the %d that there could be", turns.free, size)
		}
	})
}
