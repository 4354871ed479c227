package status

import (
	"time"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// How long a sidecar counts as it was before it counts as out of touch.
const (
	// starting is how long a pod may take from its creation until its sidecar is heard of for the first time.
	starting = time.Minute
	// reconnecting is how long a sidecar may take to open another stream: streams end by their age, and sidecars restart. A
	// connection that is cut without a word is noticed some seconds after the cut (controllers/push), and this begins then.
	reconnecting = 5 * time.Second
	// moving is the same for a sidecar whose replica of the controller went away, as all do in a rollout: thousands look for another
	// replica at once, and wait up to 15 s between two tries.
	moving = 20 * time.Second
	// settling is how long a new leader waits for sidecars and replicas to be heard of.
	settling = 30 * time.Second
)

// Pod is what is known of one live pod.
type Pod struct {
	Name    string
	Created time.Time
	// Bare says that the pod carries no sidecar; what follows says nothing then.
	Bare bool
	// Heard says that its sidecar has been in touch with a replica since this one leads.
	Heard bool
	// Lost is since when a sidecar that was heard is out of touch; zero: it is connected.
	Lost time.Time
	// Moved says that it was lost because its replica went away, and is on its way to another.
	Moved bool
	// Elsewhere says that another release of the controller injected the pod, and serves it as long as it lives.
	Elsewhere bool
	// Open are ports at which the pod can be reached past its sidecar, Foreign those on which another protocol than HTTP is spoken;
	// empty: none.
	Open, Foreign string
	// Closed says that NetworkPolicies let nobody in to Open; else Opener is one that does, if any selects the pod.
	Closed bool
	Opener string
	// Unsaved says that the sidecar could not save what it uses for a restart.
	Unsaved bool
	// Current says that this generation is in use.
	Current bool
	// Rejected is why the sidecar refused this generation or, if Current, something after it; empty if it did not.
	Rejected string
}

// state is what a pod counts as.
type state int

const (
	disconnected state = iota
	bare
	current
	rejecting
	pending
	unheard // may be connected and current for all that a new leader knows
)

// state returns what the pod counts as, and when that ends by time alone; zero: never.
func (p Pod) state(now, elected time.Time) (state, time.Time) {
	switch {
	case p.Bare:
		return bare, time.Time{}
	case p.Elsewhere && !p.Heard:
		return disconnected, time.Time{}
	case p.Heard && p.Lost.IsZero():
		return p.said(), time.Time{}
	case p.Heard:
		return before(p.Lost.Add(p.patience()), now, p.said())
	case p.Created.Before(elected.Truncate(time.Second)) && now.Before(elected.Add(settling)): // creation has no fractions
		return unheard, elected.Add(settling)
	}
	return before(p.Created.Add(starting), now, pending)
}

func (p Pod) patience() time.Duration {
	if p.Moved {
		return moving
	}
	return reconnecting
}

// before is s until then, and disconnected after that.
func before(then, now time.Time, s state) (state, time.Time) {
	if now.Before(then) {
		return s, then
	}
	return disconnected, time.Time{}
}

// said is what the sidecar said last.
func (p Pod) said() state {
	switch {
	case p.Current:
		return current
	case p.Rejected != "":
		return rejecting
	}
	return pending
}

// Tally is pods by what they count as. It is immutable.
type Tally struct {
	total   int
	counts  [unheard + 1]int
	names   [unheard + 1][]string // the first few
	refused Pod                   // the first that rejects
	behind  Pod                   // the first that is current and has refused something newer
	passed  int                   // pods that can be reached past their sidecars
	open    Pod                   // the first of them
	closed  int                   // pods that NetworkPolicies keep from being reached so
	foreign Pod                   // the first on a port of which another protocol is spoken
	unsaved int                   // sidecars that could not save what they use
	loses   []string              // the names of the first of them
	away    int                   // pods that are out of touch here and that another release injected
	others  []string              // the names of the first of them
	next    time.Time             // when a count changes by time alone; zero: never
}

// Count counts pods, which are sorted by name. Elected is since when this controller leads: of pods that are older, sidecars may
// be connected for a while and not be known to it.
func Count(pods []Pod, now, elected time.Time) Tally {
	t := Tally{total: len(pods)}
	for _, p := range pods {
		s, until := p.state(now, elected)
		t.counts[s]++
		if len(t.names[s]) < maxNames {
			t.names[s] = append(t.names[s], p.Name)
		}
		t.ports(p)
		t.asides(p, s)
		if s == rejecting && t.refused.Name == "" {
			t.refused = p
		}
		if s == current && p.Rejected != "" && t.behind.Name == "" {
			t.behind = p
		}
		if !until.IsZero() && (t.next.IsZero() || until.Before(t.next)) {
			t.next = until
		}
	}
	return t
}

// asides counts what is said of a pod beside its state.
func (t *Tally) asides(p Pod, s state) {
	if p.Unsaved && !p.Bare {
		if t.unsaved++; t.unsaved <= maxNames {
			t.loses = append(t.loses, p.Name)
		}
	}
	if s == disconnected && p.Elsewhere {
		if t.away++; t.away <= maxNames {
			t.others = append(t.others, p.Name)
		}
	}
}

// ports counts what is said of a pod's ports.
func (t *Tally) ports(p Pod) {
	switch {
	case p.Open == "":
	case p.Closed:
		t.closed++
	default:
		if t.passed++; t.passed == 1 {
			t.open = p
		}
	}
	if p.Foreign != "" && t.foreign.Name == "" {
		t.foreign = p
	}
}

// Next is when a count changes by time alone; zero: never.
func (t Tally) Next() time.Time { return t.next }

// carrying is how many pods carry a sidecar.
func (t Tally) carrying() int { return t.total - t.counts[bare] }

// list names the first pods of a state.
func (t Tally) list(s state) string { return list(t.names[s], t.counts[s]) }

// counted is the tally for the API. What the leader before counted of this generation stands for sidecars that have not been
// heard of yet.
func (t Tally) counted(was *v1alpha1.SidecarStatus) *v1alpha1.SidecarStatus {
	now, out := t.counts[current], t.counts[disconnected]
	if was != nil {
		more := min(t.counts[unheard], max(0, int(was.Current)-now))
		out += min(t.counts[unheard]-more, max(0, int(was.Disconnected)-out))
		now += more
	}
	return &v1alpha1.SidecarStatus{
		Total: int32(t.total), Current: int32(now), Rejecting: int32(t.counts[rejecting]), //nolint:gosec // counts of pods
		Disconnected: int32(out), Missing: int32(t.counts[bare]), //nolint:gosec // counts of pods
		Summary: summary(now, t.total),
	}
}
