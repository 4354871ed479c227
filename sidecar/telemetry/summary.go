package telemetry

import (
	"cmp"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Refusals are refusals that are alike, of those that are remembered.
type Refusals struct {
	Reason decision.Reason `json:"reason"`
	// Policy is "namespace/name" and Rule the name of the rule that decided. NearestPolicy and NearestRule are the rule that came nearest,
	// unless that is the one.
	Policy        string `json:"policy,omitempty"`
	Rule          string `json:"rule,omitempty"`
	NearestPolicy string `json:"nearestPolicy,omitempty"`
	NearestRule   string `json:"nearestRule,omitempty"`
	Count         int    `json:"count"`
	// Last is when the last of them came, RequestID and Cause are its.
	Last      time.Time `json:"last"`
	RequestID string    `json:"requestID,omitempty"`
	Cause     string    `json:"cause,omitempty"`
}

// mostSummed is how many kinds of refusals Summary returns.
const mostSummed = 100

// Summary counts the refusals since a time, the most frequent first, at most 100 kinds of them. They are those that are remembered:
// if whole is false, there were more than there is room for, and there may have been others since then.
func (d *DecisionLog) Summary(since time.Time) (all []Refusals, whole bool) {
	from := since.UnixNano()
	type kind struct {
		reason                            decision.Reason
		policy, rule, nearPolicy, nearest string
	}
	at := map[kind]int{}
	for _, r := range d.memory.list(mostRefused, func(s *slot) bool { return s.refused && s.at >= from }) {
		k := kind{r.Reason, r.Policy, r.Rule, r.NearestPolicy, r.NearestRule}
		n, ok := at[k]
		if !ok { // the newest is the first
			n = len(all)
			at[k] = n
			all = append(all, Refusals{
				Reason: r.Reason, Policy: r.Policy, Rule: r.Rule, NearestPolicy: r.NearestPolicy, NearestRule: r.NearestRule,
				Last: r.Time, RequestID: r.RequestID, Cause: r.Cause,
			})
		}
		all[n].Count++
	}
	slices.SortStableFunc(all, func(a, b Refusals) int { return cmp.Compare(b.Count, a.Count) })
	return all[:min(len(all), mostSummed)], !d.memory.full()
}

// full reports whether refusals have been forgotten for the sake of others.
func (m *memory) full() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n >= mostRefused
}
