package fetch

import "time"

// pace lets Burst fetches begin at once, and then one in each MinGap (the generic cell rate algorithm). The zero pace has
// all of them left.
type pace struct {
	full time.Time // when all of them are left again
}

// in returns how long it is until one more may begin.
func (p *pace) in(now time.Time) time.Duration {
	return max(0, p.full.Add(-(Burst-1)*MinGap).Sub(now))
}

// take counts one that begins now.
func (p *pace) take(now time.Time) {
	if p.full.Before(now) {
		p.full = now
	}
	p.full = p.full.Add(MinGap)
}
