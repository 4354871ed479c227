package loop

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// clock is a loop of which nothing but the time goes on.
func clock() *Loop { return &Loop{tick: 1} }

// pass has time go on for so many ticks, as if the loop had slept.
func (l *Loop) pass(ticks int64) {
	l.tick += ticks
	l.timers.advance(l.tick)
}

// far is a time beyond what most timers are set to, in ticks.
const far = 1024

func TestTimers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(l *Loop, x *Timer){
		"a timer fires once":                     func(l *Loop, x *Timer) { l.Set(x, 2*Tick) },
		"one set to a later time fires then":     func(l *Loop, x *Timer) { l.Set(x, Tick); l.Set(x, 2*Tick) },
		"one set to an earlier time fires then":  func(l *Loop, x *Timer) { l.Set(x, time.Hour); l.Set(x, 2*Tick) },
		"one that rested can be set again":       func(l *Loop, x *Timer) { l.Set(x, Tick); x.Rest(); l.Set(x, 2*Tick) },
		"one that was stopped can be set again":  func(l *Loop, x *Timer) { l.Set(x, Tick); l.Stop(x); l.Set(x, 2*Tick) },
		"a part of a tick is a tick":             func(l *Loop, x *Timer) { l.Set(x, Tick+1) },
		"one that is set within another's turn":  func(l *Loop, x *Timer) { l.Set(&Timer{Do: func() { l.Set(x, Tick) }}, Tick) },
		"others that were stopped do not matter": func(l *Loop, x *Timer) { y := &Timer{}; l.Set(y, 2*Tick); l.Set(x, 2*Tick); l.Stop(y) },
		"one whose neighbour of the turn removes it": func(l *Loop, x *Timer) {
			l.Set(&Timer{Do: func() { l.Stop(x); l.Set(x, Tick) }}, Tick)
			l.Set(x, 2*Tick)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, fired := clock(), 0
			test(l, &Timer{Do: func() { fired++ }})
			if l.pass(1); fired != 0 {
				t.Error("it fired too early")
			}
			if l.pass(1); fired != 1 {
				t.Errorf("it fired %d times when its time came, want once", fired)
			}
			if l.pass(3 * far); fired != 1 {
				t.Errorf("it fired %d times, want once", fired)
			}
			if d := l.timers.next(l.tick); d >= 0 {
				t.Errorf("the loop would wake after %v, want never", d)
			}
		})
	}
}

func TestTimersMayBeFarAway(t *testing.T) {
	t.Parallel()
	l, fired := clock(), 0
	l.Set(&Timer{Do: func() { fired++ }}, math.MaxInt64)
	if l.pass(far); fired > 0 || l.timers.next(l.tick) < 1e6*time.Hour {
		t.Errorf("it has fired %d times, and is looked at in %v", fired, l.timers.next(l.tick))
	}
}

func TestTimersThatWereStoppedDoNotFire(t *testing.T) {
	t.Parallel()
	l := clock()
	x, y := &Timer{Do: func() { t.Error("a stopped one fired") }}, &Timer{Do: func() { t.Error("one at rest fired") }}
	l.Set(x, Tick)
	l.Set(y, Tick)
	l.Stop(x)
	y.Rest()
	l.pass(5)
}

// Against a list of times: whatever is set, moved and stopped, each fires at its tick, if the loop wakes when next says.
func TestTimersAgainstAList(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for range 200 {
		l := clock()
		timers, want := make([]Timer, 30), make([]int64, 30)
		for i := range timers {
			timers[i].Do = func() {
				if want[i] != l.tick {
					t.Errorf("timer %d fired at %d, want %d", i, l.tick, want[i])
				}
				want[i] = 0
			}
		}
		for range 300 {
			i := r.IntN(len(timers))
			switch r.IntN(6) {
			case 0:
				l.Stop(&timers[i])
				want[i] = 0
			case 1:
				timers[i].Rest()
				want[i] = 0
			case 2, 3:
				ticks := 1 + r.Int64N(3*far)
				l.Set(&timers[i], time.Duration(ticks)*Tick)
				want[i] = l.tick + ticks
			default:
				sleep(l, want, r.Int64N(400))
			}
		}
		sleep(l, want, 5*far)
		if i := slices.IndexFunc(want, func(at int64) bool { return at != 0 }); i >= 0 {
			t.Fatalf("timer %d has not fired, at %d, at %d", i, want[i], l.tick)
		}
	}
}

// sleep has time go on as the loop would have it: until the next timer, or less.
func sleep(l *Loop, want []int64, most int64) {
	for most > 0 {
		step := most
		if d := l.timers.next(l.tick); d >= 0 {
			step = min(step, max(1, int64(d/Tick)))
		}
		for _, at := range want { // nobody would be woken too late
			if at != 0 && at < l.tick+step {
				panic("the loop would sleep past a timer")
			}
		}
		l.pass(step)
		most -= step
	}
}

// What timers cost beside as many others.
func BenchmarkTimer(b *testing.B) {
	const others = 10_000
	crowd := func() *Loop {
		l := clock()
		for i := range others {
			l.Set(&Timer{Do: func() {}}, time.Duration(i)*12*time.Millisecond+time.Hour*time.Duration(i%2))
		}
		return l
	}
	b.Run("a request", func(b *testing.B) { // as one has them, a thousand in a tick
		l, kept, answer, expiry := crowd(), &Timer{Do: func() {}}, &Timer{Do: func() {}}, &Timer{Do: func() {}}
		for n := 0; b.Loop(); n++ {
			kept.Rest()
			l.Set(expiry, 5*time.Minute+time.Duration(n*7919%1000)*time.Second)
			l.Set(answer, time.Minute)
			answer.Rest()
			expiry.Rest()
			l.Set(kept, time.Second)
			if n%1000 == 0 {
				l.pass(1)
			}
		}
	})
	b.Run("all set anew, and fired", func(b *testing.B) { // a timer
		l, timers := clock(), make([]Timer, others)
		for i := range timers {
			timers[i].Do = func() {}
		}
		for n := 0; b.Loop(); n++ {
			l.Set(&timers[n%others], time.Second+time.Duration(n*7919%others)*time.Millisecond)
			if n%others == others-1 {
				for l.timers.next(l.tick) >= 0 {
					l.pass(1)
				}
			}
		}
	})
	b.Run("a crowd that asks", func(b *testing.B) { // each of 10,000 connections in turn, 160 in a tick
		l, timers := clock(), make([]Timer, others)
		for i := range timers {
			timers[i].Do = func() {}
		}
		for n := 0; b.Loop(); n++ {
			x := &timers[n%others]
			x.Rest()
			l.Set(x, time.Second)
			if n%160 == 0 {
				l.pass(1)
			}
		}
	})
}
