package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/advice"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

// Window is how many minutes of refusals are shown.
const Window = 10

// Minutes counts by minute, the present one last.
type Minutes [Window]int

func (m *Minutes) add(other *Minutes) {
	for i := range m {
		m[i] += other[i]
	}
}

// Refusals is what sidecars refused in the last minutes.
type Refusals struct {
	Count   int     `json:"count"`
	Minutes Minutes `json:"minutes"`
	// AtLeast says that there may be more: a sidecar remembers more of these minutes than it was asked for.
	AtLeast bool     `json:"atLeast,omitempty"`
	Reasons []Reason `json:"reasons"`
	// Groups are refusals alike, the most frequent first: as many as are shown.
	Groups []Group `json:"groups"`
	// Recent are the last ones of all, the newest first.
	Recent []Refused `json:"recent"`
	// Sidecars is how many there are to ask, Asked how many have answered lately, Failed how many could not be asked.
	Sidecars int `json:"sidecars"`
	Asked    int `json:"asked"`
	Failed   int `json:"failed"`
	// Oldest is when the oldest of the answers came.
	Oldest time.Time `json:"oldest,omitzero"`
}

// Reason is the refusals of one decision.Reason.
type Reason struct {
	Reason decision.Reason `json:"reason"`
	// Status is what clients get.
	Status  int     `json:"status"`
	Count   int     `json:"count"`
	Minutes Minutes `json:"minutes"`
	// Do is what to do about it.
	Do string `json:"do"`
	// Workloads are those that refused most, and More is how many there are besides.
	Workloads []Counted `json:"workloads"`
	More      int       `json:"more,omitempty"`
}

// Counted is a workload and how often it refused.
type Counted struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Count     int    `json:"count"`
}

// Group is refusals alike: of one workload, by one rule, for one cause.
type Group struct {
	alike
	Namespace string    `json:"namespace"`
	Workload  string    `json:"workload"`
	Count     int       `json:"count"`
	Last      time.Time `json:"last"`
	// Example is the id of the last of them.
	Example string  `json:"example,omitempty"`
	Minutes Minutes `json:"minutes"`
}

// alike is what refusals of a group have in common. None of it is from a token.
type alike struct {
	Reason decision.Reason `json:"reason"`
	// Policy is "namespace/name", and Rule the one that decided, or that came nearest.
	Policy  string `json:"policy,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Nearest bool   `json:"nearest,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Cause   string `json:"cause,omitempty"`
	Failed  string `json:"failed,omitempty"`
}

// Refused is one refusal.
type Refused struct {
	Time      time.Time       `json:"time"`
	ID        string          `json:"id,omitempty"`
	Namespace string          `json:"namespace"`
	Workload  string          `json:"workload"`
	Pod       string          `json:"pod"`
	Method    string          `json:"method,omitempty"`
	Path      string          `json:"path,omitempty"`
	Reason    decision.Reason `json:"reason"`
	Status    int             `json:"status"`
	Policy    string          `json:"policy,omitempty"`
}

// What is kept of a sidecar's answer: most of it is the same over and over.
const (
	mostGroups = 64
	mostRecent = 20
)

// tally is what is kept of the refusals of one sidecar.
type tally struct {
	// by counts each group by minutes since 1970.
	by map[alike]*counts
	// recent are the last ones, the newest first.
	recent  []admin.Request
	atLeast bool
}

type counts struct {
	minutes map[int64]int
	last    time.Time
	example string
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// newTally counts refusals, the newest first, of the minutes before now. most is how many were asked for.
func newTally(requests []admin.Request, most int, now time.Time) tally {
	t := tally{by: map[alike]*counts{}}
	since := minuteOf(now) - Window + 1
	for i := range requests {
		r := &requests[i]
		if minuteOf(r.Time) < since {
			break
		}
		if len(t.recent) < mostRecent {
			t.recent = append(t.recent, *r)
		}
		t.count(likeOf(r), r)
	}
	t.atLeast = len(requests) == most && minuteOf(requests[most-1].Time) >= since
	return t
}

func (t *tally) count(key alike, r *admin.Request) {
	c := t.by[key]
	if c == nil && len(t.by) >= mostGroups {
		key = alike{Reason: r.Reason}
		c = t.by[key]
	}
	if c == nil {
		c = &counts{minutes: map[int64]int{}, last: r.Time, example: r.RequestID}
		t.by[key] = c
	}
	c.minutes[minuteOf(r.Time)]++
}

func likeOf(r *admin.Request) alike {
	a := alike{Reason: r.Reason, Policy: r.Policy, Rule: r.Rule, Issuer: r.IssuerEntry, Cause: r.Cause, Failed: r.Failed}
	if a.Rule == "" && r.NearestRule != "" {
		a.Policy, a.Rule, a.Nearest = cmp.Or(r.NearestPolicy, r.Policy), r.NearestRule, true
	}
	return a
}

// heard is the tally of one pod of a workload.
type heard struct {
	namespace, workload, pod string
	tally
}

// newRefusals puts together what sidecars said.
func newRefusals(all []heard, now time.Time) (Refusals, []Group) {
	r := Refusals{Reasons: []Reason{}, Recent: []Refused{}}
	groups := groupsOf(all, now)
	for i := range all {
		h := &all[i]
		r.AtLeast = r.AtLeast || h.atLeast
		for _, q := range h.recent {
			if minuteOf(q.Time) > minuteOf(now)-Window {
				r.Recent = append(r.Recent, Refused{q.Time, q.RequestID, h.namespace, h.workload, h.pod, q.Method, q.Path, q.Reason, refuse.Table(q.Reason).Status,
					cmp.Or(q.Policy, q.NearestPolicy)})
			}
		}
	}
	slices.SortStableFunc(r.Recent, func(a, b Refused) int { return b.Time.Compare(a.Time) })
	r.Recent = r.Recent[:min(len(r.Recent), mostListed)]
	r.Groups = groups[:min(len(groups), mostShown)]
	at := map[decision.Reason]int{}
	for i := range groups {
		g := &groups[i]
		j, ok := at[g.Reason]
		if !ok {
			j = len(r.Reasons)
			at[g.Reason] = j
			r.Reasons = append(r.Reasons, Reason{Reason: g.Reason, Status: refuse.Table(g.Reason).Status, Do: advice.Of(g.Reason).Do})
		}
		r.Reasons[j].add(g)
		r.Count += g.Count
		r.Minutes.add(&g.Minutes)
	}
	slices.SortStableFunc(r.Reasons, func(a, b Reason) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(string(a.Reason), string(b.Reason)))
	})
	for i := range r.Reasons {
		r.Reasons[i].cut()
	}
	return r, groups
}

// How much of each list is shown.
const (
	mostListed    = 50
	mostWorkloads = 5
	mostShown     = 300
)

func (r *Reason) add(g *Group) {
	r.Count += g.Count
	r.Minutes.add(&g.Minutes)
	i := slices.IndexFunc(r.Workloads, func(c Counted) bool { return c.Namespace == g.Namespace && c.Name == g.Workload })
	if i < 0 {
		i = len(r.Workloads)
		r.Workloads = append(r.Workloads, Counted{Namespace: g.Namespace, Name: g.Workload})
	}
	r.Workloads[i].Count += g.Count
}

func (r *Reason) cut() {
	slices.SortStableFunc(r.Workloads, func(a, b Counted) int { return b.Count - a.Count })
	r.More = max(0, len(r.Workloads)-mostWorkloads)
	r.Workloads = r.Workloads[:min(len(r.Workloads), mostWorkloads)]
}

// groupsOf puts the groups of a workload's pods together, the most frequent first.
func groupsOf(all []heard, now time.Time) []Group {
	type key struct {
		namespace, workload string
		alike
	}
	by := map[key]*Group{}
	first := minuteOf(now) - Window + 1
	for i := range all {
		h := &all[i]
		for like, c := range h.by {
			k := key{h.namespace, h.workload, like}
			g := by[k]
			if g == nil {
				g = &Group{alike: like, Namespace: h.namespace, Workload: h.workload}
				by[k] = g
			}
			for minute, n := range c.minutes {
				if at := minute - first; at >= 0 {
					g.Minutes[min(at, Window-1)] += n
					g.Count += n
				}
			}
			if c.last.After(g.Last) {
				g.Last, g.Example = c.last, c.example
			}
		}
	}
	out := make([]Group, 0, len(by))
	for _, g := range by {
		if g.Count > 0 {
			out = append(out, *g)
		}
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Workload, b.Workload),
			strings.Compare(string(a.Reason), string(b.Reason)), strings.Compare(a.Policy+a.Rule+a.Cause+a.Failed, b.Policy+b.Rule+b.Cause+b.Failed))
	})
	return out
}
