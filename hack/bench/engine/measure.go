package main

import (
	"math"
	"testing"
	"time"
)

const (
	rounds      = 2500
	roundLength = 200 * time.Microsecond
)

// fastest runs the functions in turns, each for a short round at a time, and returns the nanoseconds of one call in the
// fastest round of each. A nil function gets NaN.
func fastest(functions ...func()) []float64 {
	calls, best := make([]int, len(functions)), make([]float64, len(functions))
	for i, f := range functions {
		if best[i] = math.NaN(); f != nil {
			calls[i], best[i] = callsOf(f), math.Inf(1)
		}
	}
	for range rounds {
		for i, f := range functions {
			if f != nil {
				best[i] = min(best[i], round(f, calls[i]))
			}
		}
	}
	return best
}

// callsOf returns how many calls fill a round.
func callsOf(f func()) int {
	for n := 1; ; n *= 2 {
		if one := round(f, n); one*float64(n) > float64(roundLength)/2 {
			return n
		}
	}
}

func round(f func(), calls int) float64 {
	begin := time.Now()
	for range calls {
		f()
	}
	return float64(time.Since(begin)) / float64(calls)
}

func allocations(f func()) float64 { return testing.AllocsPerRun(1000, f) }
