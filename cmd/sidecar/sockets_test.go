package main

import (
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/memlimit"
)

const oneMiB = 1 << 20

func TestSocketsMakeWayForMemory(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ bound, sockets, room, excess int64 }{
		"little is taken":             {bound: 30, sockets: 10},
		"sockets hold little":         {bound: 120, sockets: 7},
		"the collector makes room":    {bound: 90, sockets: 10, room: 42},
		"half of all stays with it":   {bound: 90, sockets: 40, room: 72},
		"that is not enough":          {bound: 110, sockets: 60, room: 92, excess: 30},
		"sockets keep a little":       {bound: 127, sockets: 12, room: 44, excess: 4},
		"they have taken it all":      {bound: 140, sockets: 130, room: 162, excess: 60},
		"just what there may be":      {bound: 96, sockets: 40, room: 72},
		"and a little more than that": {bound: 97, sockets: 40, room: 72, excess: 17},
	} {
		b := newBudget(115 * oneMiB)
		left := int64(115 * oneMiB)
		b.set = func(n int64) { left = n }
		s := sockets{budget: b, usage: func(int64) memlimit.Usage {
			return memlimit.Usage{Limit: 128 * oneMiB, Taken: (tt.bound + 20) * oneMiB, Bound: tt.bound * oneMiB, Sockets: tt.sockets * oneMiB}
		}}
		start := time.Now()
		s.eased = start
		if _, excess := s.pressure(start); (excess > 0) != (tt.excess > 0 && tt.bound > 112) {
			t.Errorf("%s: %d MiB have to go before the collector has done what it can", name, excess/oneMiB)
		}
		tight, excess := s.pressure(start.Add(collects))
		want := max(115*oneMiB-(tt.room*oneMiB+heedBytes-1)/heedBytes*heedBytes, 115*oneMiB/2)
		if left != want || excess != tt.excess*oneMiB || tight != (tt.room > 0) {
			t.Errorf("%s: the collector has %d MiB and %d MiB have to go, tight %v; want %d and %d", name, left/oneMiB, excess/oneMiB, tight, want/oneMiB, tt.excess)
		}
	}
}

// Loops ask often, and all of them. What costs much is not found out each time.
func TestSocketsAreLookedAtNowAndThen(t *testing.T) {
	t.Parallel()
	var asked []int64
	holds := int64(2 * oneMiB)
	s := sockets{budget: newBudget(115 * oneMiB), usage: func(least int64) memlimit.Usage {
		asked = append(asked, least/oneMiB)
		u := memlimit.Usage{Limit: 128 * oneMiB, Taken: 80 * oneMiB}
		if u.Taken >= least {
			u.Bound, u.Sockets = 70*oneMiB, holds
		}
		return u
	}}
	s.budget.set = func(int64) {}
	start := time.Now()
	at := func(after time.Duration) bool {
		tight, _ := s.pressure(start.Add(after))
		return tight
	}
	at(0)
	at(lookEvery / 2) // the same
	at(lookEvery)     // sockets hold 2 MiB: for 8 there have to be 6 MiB more
	holds = 10 * oneMiB
	if at(2 * lookEvery) {
		t.Error("it has been found out what sockets hold")
	}
	if !at(nothingHolds) {
		t.Error("it is not found out after a while")
	}
	if len(asked) != 4 || asked[0] != 0 || asked[1] != 86 || asked[2] != 86 || asked[3] != 0 {
		t.Errorf("it was asked for more than %v MiB", asked)
	}
}
