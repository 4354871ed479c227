//go:build !race

package token

import (
	"fmt"
	"strings"
	"testing"
)

// The race detector makes sync.Pool forget, so this does not run there.
func TestGetDoesNotAllocate(t *testing.T) {
	for name, c := range bothTiers[int](1 << 20) {
		raw := fmt.Sprintf("%0800d", 1)
		keep(c, raw, 0, 1)
		if n := testing.AllocsPerRun(1000, func() { c.Get(raw, 0, now) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		missing := "x" + raw[1:] // of the same end
		if n := testing.AllocsPerRun(100, func() { c.Get(missing, 0, now) }); n != 0 {
			t.Errorf("%s: %v allocations for a token that is not there", name, n)
		}
	}
}

func BenchmarkCacheGet(b *testing.B) {
	for name, c := range bothTiers[int](1 << 20) {
		raw := fmt.Sprintf("%0826d", 1)
		same := strings.Clone(raw) // not one string: the texts are compared
		keep(c, raw, 0, 1)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.Get(same, 0, now)
				}
			})
		})
	}
}
