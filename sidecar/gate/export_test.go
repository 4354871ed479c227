package gate

import (
	"net/netip"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Occupy has n judgements of others wait for their turn, behind as many as run at a time, until free is called.
func (g *Gate) Occupy(n int) (free func()) {
	g.line.mu.Lock()
	running := g.line.runs()
	g.line.mu.Unlock()
	var turns []*turn
	for i := range running + n {
		a := [4]byte{198, 18, byte(i >> 8), byte(i)}
		if t := g.line.enter(netip.AddrFrom4(a)); t != nil {
			turns = append(turns, t)
		}
	}
	return func() {
		for _, t := range turns {
			g.line.leave(t)
		}
	}
}

// Queued is how many judgements wait for their turn.
func (g *Gate) Queued() int {
	g.line.mu.Lock()
	defer g.line.mu.Unlock()
	return g.line.waiting
}

// MostQueued is how many may.
const MostQueued = mostQueued

// Slow reports whether something was left out of a verdict for want of time.
func (v *Verdict) Slow() bool { return v.lack != nil && v.lack.time }

// JudgeBriefly judges as JudgeNow does at first.
func (g *Gate) JudgeBriefly(r *Request) Verdict { return g.judge(r, decision.NewBudget(patience)) }

// HoldAnswers has all that look for an answer of an issuer wait until release is called.
func (g *Gate) HoldAnswers() (release func()) {
	a := g.snapshot.Load().answers
	a.mu.Lock()
	return a.mu.Unlock
}
