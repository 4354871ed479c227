package loop

import (
	"container/heap"
	"math"
	"time"
)

// Tick is how exact timers are: one may be late by as much.
const Tick = 32 * time.Millisecond

// Timer calls a function on the loop once its time has come. The zero Timer is stopped. It is cheap to set again and again to a
// later time, as a timeout is: it stays where it was, and is moved when that time has come.
type Timer struct {
	// Do is called. It may set the timer again.
	Do func()
	// Of is the connection that a panic of Do's ends; nil: it ends the process.
	Of *Conn

	at    int64 // the tick; 0: stopped
	slot  int64 // the tick at which it is to be looked at
	place int   // among Loop.timers, counted from 1; 0: it is not there
}

// due is the tick at which a time is over.
func (l *Loop) due(after time.Duration) int64 {
	after = min(after, math.MaxInt64-Tick) // of a token, say, that expires in the year 9999
	return l.tick + max(1, int64((after+Tick-1)/Tick))
}

// Set has a timer call its function after a time, which takes the place of the time set before.
func (l *Loop) Set(t *Timer, after time.Duration) {
	t.at = l.due(after)
	switch {
	case t.place == 0:
		t.slot = t.at
		heap.Push(&l.timers, t)
	case t.slot > t.at:
		t.slot = t.at
		heap.Fix(&l.timers, t.place-1)
	}
}

// Stop stops a timer, if there is one.
func (l *Loop) Stop(t *Timer) {
	if t == nil {
		return
	}
	t.at = 0
	if t.place > 0 {
		heap.Remove(&l.timers, t.place-1)
	}
}

// Rest is Stop for a timer that is soon to be set again, which then costs nothing: for a while the loop may wake for it in vain.
func (t *Timer) Rest() { t.at = 0 }

// On reports whether the timer is set.
func (t *Timer) On() bool { return t.at != 0 }

// Left is how long it is until the time of a timer that is set.
func (l *Loop) Left(t *Timer) time.Duration { return time.Duration(max(t.at-l.tick, 0)) * Tick }

func (t *Timer) fire() {
	if t.Of == nil {
		t.Do()
		return
	}
	t.Of.Guard(t.Do)
}

// timers are a heap, by the tick at which they are to be looked at.
type timers []*Timer

// advance calls the functions of timers whose time has come.
func (ts *timers) advance(now int64) {
	for len(*ts) > 0 && (*ts)[0].slot <= now {
		t := (*ts)[0]
		if t.at > now {
			t.slot = t.at
			heap.Fix(ts, 0)
			continue
		}
		heap.Pop(ts)
		if t.at > 0 {
			t.at = 0
			t.fire()
		}
	}
}

// next is how long the loop may sleep; negative: for as long as nothing else happens.
func (ts timers) next(now int64) time.Duration {
	if len(ts) == 0 {
		return -1
	}
	return time.Duration(max(ts[0].slot-now, 0)) * Tick
}

// Len implements heap.Interface.
func (ts timers) Len() int { return len(ts) }

// Less implements heap.Interface.
func (ts timers) Less(i, j int) bool { return ts[i].slot < ts[j].slot }

// Swap implements heap.Interface.
func (ts timers) Swap(i, j int) {
	ts[i], ts[j] = ts[j], ts[i]
	ts[i].place, ts[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (ts *timers) Push(x any) {
	t := x.(*Timer)
	*ts = append(*ts, t)
	t.place = len(*ts)
}

// Pop implements heap.Interface.
func (ts *timers) Pop() any {
	last := len(*ts) - 1
	t := (*ts)[last]
	(*ts)[last], t.place = nil, 0
	*ts = (*ts)[:last]
	return t
}
