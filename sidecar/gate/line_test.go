package gate

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
)

func client(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }

func lineOf(most, procs int) *line {
	l := newLine(most)
	l.procs = func() int { return procs }
	return l
}

func begun(t *turn) bool {
	select {
	case <-t.begin:
		return true
	default:
		return false
	}
}

func TestClientsTakeTurns(t *testing.T) {
	t.Parallel()
	l := lineOf(10, 2)
	running := l.enter(client(1))
	if !begun(running) {
		t.Fatal("the first had to wait")
	}
	names := map[*turn]string{}
	for i, name := range []string{"a1", "a2", "a3", "b1", "c1", "b2"} {
		names[l.enter(client(name[0]))] = name
		if l.waiting != i+1 {
			t.Fatalf("%s does not wait", name)
		}
	}
	var order []string
	for len(names) > 0 {
		l.end(running)
		running = nil
		for turn, name := range names {
			if begun(turn) {
				if running != nil {
					t.Fatal("two run at a time")
				}
				running = turn
				order = append(order, name)
				delete(names, turn)
			}
		}
	}
	l.end(running)
	if want := []string{"a1", "b1", "c1", "a2", "b2", "a3"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
	if l.running != 0 || l.waiting != 0 || len(l.queues) != 0 || len(l.order) != 0 {
		t.Errorf("left: %+v", l)
	}
}

func TestWhoHasMostGivesWay(t *testing.T) {
	t.Parallel()
	l := lineOf(4, 1)
	running := l.enter(client(9))
	var flood []*turn
	for range 4 {
		flood = append(flood, l.enter(client(1)))
	}
	if l.enter(client(1)) != nil {
		t.Error("the flood got one more place")
	}
	for n := range byte(2) {
		if l.enter(client(2+n)) == nil {
			t.Errorf("client %d got no place", 2+n)
		}
	}
	for i, turn := range flood {
		gone := false
		select {
		case <-turn.out:
			gone = true
		default:
		}
		if want := i >= 2; gone != want {
			t.Errorf("place %d of the flood: gave way %t, want %t", i, gone, want)
		}
		l.leave(turn) // also those that have given way
	}
	if l.waiting != 2 {
		t.Errorf("%d wait", l.waiting)
	}
	l.leave(running)
	if l.waiting != 1 {
		t.Errorf("%d wait once one more began", l.waiting)
	}
}

func TestTurnsLeaveAProcessorToOthers(t *testing.T) {
	t.Parallel()
	for procs, want := range map[int]int{1: 1, 2: 1, 3: 2, 8: 7} {
		l := lineOf(100, procs)
		for range 20 {
			l.enter(client(1))
		}
		if l.running != want {
			t.Errorf("%d run on %d processors, want %d", l.running, procs, want)
		}
	}
}

func TestOneProcessorDrawsBreath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := lineOf(10, 1)
		first, second := l.enter(client(1)), l.enter(client(1))
		l.end(first)
		if begun(second) {
			t.Error("the next began at once")
		}
		<-second.begin
		l.end(second)
		synctest.Wait()
	})
}
