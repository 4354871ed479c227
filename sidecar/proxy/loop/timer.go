package loop

import (
	"math/bits"
	"time"
)

// Tick is how exact timers are: one may be late by as much.
const Tick = 32 * time.Millisecond

// slots, a multiple of 64, is the number of lists of a wheel. A timer further away than slots ticks is looked at once in every turn of the wheel.
const slots = 1024

// Timer calls a function on the loop once its time has come. The zero Timer is stopped. It is cheap to set again and again to a
// later time, as a timeout is: it stays where it was, and is moved when that time has come.
type Timer struct {
	// Do is called. It may set the timer again.
	Do func()
	// Of is the connection that a panic of Do's ends; nil: it ends the process.
	Of *Conn

	at         int64 // the tick; 0: stopped
	slot       int64 // the tick that it lies at
	prev, next *Timer
}

// wheel has timers by the tick at which they are to be looked at.
type wheel struct {
	lists [slots]Timer       // heads of rings
	some  [slots / 64]uint64 // which of them may not be empty
	due   Timer              // head of the ring that is being looked at
	n     int
	done  int64 // the tick up to which all is done
}

func (w *wheel) init() {
	for i := range w.lists {
		h := &w.lists[i]
		h.prev, h.next = h, h
	}
	w.due.prev, w.due.next = &w.due, &w.due
}

// Set has a timer call its function after a time, which takes the place of the time set before.
func (l *Loop) Set(t *Timer, after time.Duration) {
	t.at = l.tick + max(1, int64((after+Tick-1)/Tick))
	if t.next != nil {
		if t.slot <= t.at {
			return // it will be moved
		}
		l.wheel.remove(t)
	}
	l.wheel.insert(t, t.at)
}

// Stop stops a timer, if there is one.
func (l *Loop) Stop(t *Timer) {
	if t == nil {
		return
	}
	t.at = 0
	if t.next != nil {
		l.wheel.remove(t)
	}
}

// Rest stops a timer that is soon to be set again: for a while the loop may wake for it in vain.
func (t *Timer) Rest() { t.at = 0 }

func (w *wheel) insert(t *Timer, at int64) {
	t.slot = max(at, w.done+1)
	i := t.slot % slots
	w.some[i/64] |= 1 << (i % 64)
	h := &w.lists[i]
	t.prev, t.next = h.prev, h
	t.prev.next, h.prev = t, t
	w.n++
}

func (w *wheel) remove(t *Timer) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
	w.n--
}

// advance calls the functions of timers whose time has come.
func (w *wheel) advance(now int64) {
	if w.done == 0 || w.n == 0 {
		w.done = now
		return
	}
	for from := max(w.done+1, now-slots+1); from <= now; from++ {
		w.done = from
		w.look(from, now)
	}
	w.done = now
}

// look goes through one list. What a function sets comes to lie in a later one.
func (w *wheel) look(tick, now int64) {
	i := tick % slots
	w.some[i/64] &^= 1 << (i % 64)
	h, due := &w.lists[i], &w.due
	if h.next == h {
		return
	}
	// They move to a ring of their own: functions may remove any of them.
	due.next, due.prev = h.next, h.prev
	due.next.prev, due.prev.next = due, due
	h.next, h.prev = h, h
	for due.next != due {
		t := due.next
		w.remove(t)
		switch {
		case t.at > now:
			w.insert(t, t.at)
		case t.at > 0:
			t.at = 0
			t.fire()
		}
	}
}

func (t *Timer) fire() {
	if t.Of == nil {
		t.Do()
		return
	}
	t.Of.Guard(t.Do)
}

// next is how long the loop may sleep; negative: for as long as nothing else happens.
func (w *wheel) next(now int64) time.Duration {
	if w.n == 0 {
		return -1
	}
	from := w.done + 1
	for k := int64(0); k <= slots; {
		i := (from + k) % slots
		if rest := w.some[i/64] >> (i % 64); rest != 0 {
			return time.Duration(max(from+k+int64(bits.TrailingZeros64(rest))-now, 0)) * Tick
		}
		k += 64 - i%64
	}
	return -1
}
