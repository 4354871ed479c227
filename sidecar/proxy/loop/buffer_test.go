package loop_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// TestThereIsLessRoomWhereMuchIsHeld is not parallel: what is held is the process's.
func TestThereIsLessRoomWhereMuchIsHeld(t *testing.T) {
	most := loop.Room()
	var blocks [][]byte
	hold := func(n int) {
		for ; n > 0; n -= loop.LargeBlock {
			blocks = append(blocks, loop.Grab(loop.LargeBlock))
		}
	}
	hold(5 << 20)
	some := loop.Room()
	hold(2 << 20)
	least := loop.Room()
	if !(most > some && some > least && least > 0) {
		t.Errorf("there is room for %d, then %d, then %d bytes", most, some, least)
	}
	if loop.Enough(100) || !loop.Enough(least) {
		t.Error("a head must go with the first of its body, and no more is to wait than is read at a time")
	}
	for _, b := range blocks {
		loop.Drop(b)
	}
	if got := loop.Room(); got != most {
		t.Errorf("once all is given back, there is room for %d bytes; want %d", got, most)
	}
	loop.Count(20 << 20)
	if got := loop.Room(); got != least {
		t.Errorf("where others hold much, there is room for %d bytes; want %d", got, least)
	}
	loop.Count(-20 << 20)
}

func TestBlocksHaveTheRoomThatWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 512, 513, 1 << 10, 3000, 16 << 10, 20_000, 64 << 10, 100_000} {
		for range 2 { // the second may be one that was given back
			b := loop.Grab(n)
			if len(b) < n || cap(b) != len(b) {
				t.Errorf("a block for %d bytes has %d, and room for %d", n, len(b), cap(b))
			}
			loop.Drop(b)
		}
	}
}

func TestNoMoreIsTakenThanIsHeld(t *testing.T) {
	t.Parallel()
	var b loop.Buffer
	b.Take(10)
	b.Append([]byte("hello"))
	b.Take(2)
	if got := string(b.Bytes()); got != "llo" {
		t.Errorf("%q is left", got)
	}
	b.Take(4)
	if b.Append([]byte("next")); string(b.Bytes()) != "next" {
		t.Errorf("%q is held", b.Bytes())
	}
	b.Drop()
	if b.Take(1); b.Len() != 0 {
		t.Errorf("%d bytes are held", b.Len())
	}
}

// What is not used comes again before what comes next; no block is kept where nothing is held, whoever dropped it.
func TestWhatIsFedAndNotUsedComesAgain(t *testing.T) {
	t.Parallel()
	var b loop.Buffer
	for _, step := range []struct {
		fed, seen string
		used      int
		held      string
	}{{"ab", "ab", 2, ""}, {"abc", "abc", 1, "bc"}, {"d", "bcd", 0, "bcd"}, {"", "bcd", 2, "d"}, {"e", "de", 2, ""}} {
		b.Feed([]byte(step.fed), func(p []byte) int {
			if string(p) != step.seen {
				t.Errorf("%q is given, want %q", p, step.seen)
			}
			return step.used
		})
		if string(b.Bytes()) != step.held {
			t.Errorf("%q is held, want %q", b.Bytes(), step.held)
		}
	}
	b.Append([]byte("held"))
	b.Feed([]byte("more"), func(p []byte) int { b.Drop(); return len(p) })
	if b.Len() != 0 || len(b.Free(0)) != 0 {
		t.Errorf("%q is held", b.Bytes())
	}
}
