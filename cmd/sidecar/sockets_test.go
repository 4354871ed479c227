package main

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/memlimit"
)

func TestSocketsMakeWayForMemory(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, tt := range map[string]struct{ bound, sockets, room, excess int64 }{
		"little is taken":                {bound: 30, sockets: 10},
		"sockets hold little":            {bound: 120, sockets: 7},
		"the collector makes room first": {bound: 90, sockets: 30, room: 46},
		"then sockets do":                {bound: 110, sockets: 60, room: 76, excess: 30},
		"sockets keep a little":          {bound: 127, sockets: 12, room: 28, excess: 4},
	} {
		b := newBudget(115 * mib)
		left := int64(115 * mib)
		b.set = func(n int64) { left = n }
		s := sockets{budget: b, usage: func() memlimit.Usage {
			return memlimit.Usage{Limit: 128 * mib, Bound: tt.bound * mib, Sockets: tt.sockets * mib}
		}}
		tight, excess := s.pressure()
		if want := max(115*mib-(tt.room*mib+heedBytes-1)/heedBytes*heedBytes, 115*mib/2); left != want || excess != tt.excess*mib || tight != (tt.room > 0) {
			t.Errorf("%s: the collector has %d MiB and %d MiB have to go, want %d and %d", name, left/mib, excess/mib, want/mib, tt.excess)
		}
	}
}
