package loop

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// clock is a loop of which nothing but the time goes on.
func clock() *Loop {
	l := &Loop{tick: 1}
	l.wheel.init()
	l.wheel.advance(1)
	return l
}

// pass has time go on for so many ticks, as if the loop had slept.
func (l *Loop) pass(ticks int64) {
	l.tick += ticks
	l.wheel.advance(l.tick)
}

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
			if l.pass(3 * slots); fired != 1 {
				t.Errorf("it fired %d times, want once", fired)
			}
			if d := l.wheel.next(l.tick); d >= 0 {
				t.Errorf("the loop would wake after %v, want never", d)
			}
		})
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
				ticks := 1 + r.Int64N(3*slots)
				l.Set(&timers[i], time.Duration(ticks)*Tick)
				want[i] = l.tick + ticks
			default:
				sleep(l, want, r.Int64N(400))
			}
		}
		sleep(l, want, 5*slots)
		if i := slices.IndexFunc(want, func(at int64) bool { return at != 0 }); i >= 0 {
			t.Fatalf("timer %d has not fired, at %d, at %d", i, want[i], l.tick)
		}
	}
}

// sleep has time go on as the loop would have it: until the next timer, or less.
func sleep(l *Loop, want []int64, most int64) {
	for most > 0 {
		step := most
		if d := l.wheel.next(l.tick); d >= 0 {
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
