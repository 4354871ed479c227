package decision

import "time"

// Budget bounds the time that judging a request may take, by estimates of what comes next: who must not be held for long is told
// before, and not after. The zero Budget has no bound.
type Budget struct {
	left          time.Duration
	bounded, over bool
	spared        bool
}

// NewBudget returns a budget of that much time.
func NewBudget(d time.Duration) Budget { return Budget{left: d, bounded: true} }

// Bounded reports whether there is a bound: else nothing need be estimated.
func (b *Budget) Bounded() bool { return b.bounded }

// Spend takes off what comes next. It returns false if that is more than is left, now or before: then it is not to be done, and what is
// made of the request without it is no verdict.
func (b *Budget) Spend(d time.Duration) bool {
	if !b.bounded {
		return true
	}
	b.over = b.over || d > b.left
	if !b.over {
		b.left -= d
	}
	return !b.over
}

// Over reports whether something was not done.
func (b *Budget) Over() bool { return b.over }

// Spare says that what was not done can be done without.
func (b *Budget) Spare() { b.over, b.spared = false, b.spared || b.over }

// Spared reports whether anything was.
func (b *Budget) Spared() bool { return b.spared }
