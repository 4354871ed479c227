package authpolicy

import "time"

const (
	// idle is how many times as long as it has worked a namespace rests, so that one that changes all the time has a quarter of a
	// processor.
	idle = 3
	// maxRest is how long it rests at most: one that takes longer than 20 s has more than that quarter.
	maxRest = time.Minute
)

// pace keeps a namespace from taking the processor from others. One that has rested is served at once. It is not safe for
// concurrent use.
type pace struct {
	until time.Time
}

// rest is how long the namespace has to wait still; zero: it need not.
func (p *pace) rest(now time.Time) time.Duration {
	return max(0, p.until.Sub(now))
}

// worked takes in how long the namespace has taken.
func (p *pace) worked(began, ended time.Time) {
	p.until = ended.Add(min(idle*ended.Sub(began), maxRest))
}
