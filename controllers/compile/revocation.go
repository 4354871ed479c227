package compile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/api/revoked"
)

// prune is how often entries that are over are taken out of the set. Sidecars go by them no more from the second that they are over, so
// that is for the room that they take. All replicas do it at the same times, and so come to the same sets.
const prune = time.Minute

// Revocation is a TokenRevocation as it stands in the cluster.
type Revocation struct {
	Name, UID  string
	Generation int64
	Created    time.Time
	// Entries are those that can be used. They are compared by where they lie: an object that has not changed is to come with the same.
	Entries revoked.List
	// Problem says what is wrong with the object; nil if nothing is.
	Problem error
}

// Ref names the generation.
func (r Revocation) Ref() RevocationRef {
	return RevocationRef{Name: r.Name, UID: r.UID, Generation: r.Generation}
}

// RevocationOutcome is what has become of one revocation.
type RevocationOutcome struct {
	Ref RevocationRef
	// Problem says what is wrong with it; nil if nothing is. What can be used of it is used.
	Problem error
	// Entries is how many of its entries are in force.
	Entries int
}

// RevocationRef is one generation of one revocation.
type RevocationRef struct {
	Name, UID  string
	Generation int64
}

// Revocations keeps the set of one namespace from one look at its objects to the next, so that a change costs what it changes. It is not
// safe for concurrent use.
type Revocations struct {
	set  *revoked.Set
	held map[string]*heldRevocation // by UID
}

// heldRevocation is what is remembered of an object.
type heldRevocation struct {
	entries revoked.List // of the object
	live    revoked.List // those that are not over
	next    time.Time    // when another one is over; zero: never
	used    revoked.List // those that have room
}

// Update makes the set of what there is, and says what has become of each object, sorted by name, and when to look again although nothing
// has changed; zero: never. Where there are more entries than a set may have, the oldest objects have their room first.
func (r *Revocations) Update(objects []Revocation, now time.Time) (set *revoked.Set, outcomes []RevocationOutcome, next time.Time) {
	if r.held == nil {
		r.held = map[string]*heldRevocation{}
	}
	objects = slices.SortedFunc(slices.Values(objects), func(a, b Revocation) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	cut := now.Truncate(prune)
	touched := map[byte][]revoked.List{}
	here := make(map[string]*heldRevocation, len(objects))
	total := 0
	for _, o := range objects {
		h := r.hold(o, cut)
		here[o.UID] = h
		total += len(h.live)
		if !h.next.IsZero() && (next.IsZero() || h.next.Before(next)) {
			next = h.next
		}
	}
	room := revoked.Most
	for _, o := range objects {
		h := here[o.UID]
		used := h.live[:min(len(h.live), room)]
		room -= len(used)
		mark(touched, h.used, used)
		h.used = used
		outcomes = append(outcomes, RevocationOutcome{Ref: o.Ref(), Entries: len(used), Problem: cmp.Or(o.Problem, h.crowded(total))})
	}
	for uid, h := range r.held {
		if here[uid] == nil {
			mark(touched, h.used, nil)
		}
	}
	r.held = here
	r.rebuild(touched)
	slices.SortFunc(outcomes, func(a, b RevocationOutcome) int { return cmp.Compare(a.Ref.Name, b.Ref.Name) })
	if !next.IsZero() {
		next = next.Add(prune - 1).Truncate(prune)
	}
	return r.set, outcomes, next
}

// hold returns what is held of an object, brought up to date.
func (r *Revocations) hold(o Revocation, cut time.Time) *heldRevocation {
	h := r.held[o.UID]
	if h == nil {
		h = &heldRevocation{}
	}
	if !same(h.entries, o.Entries) || !h.next.IsZero() && !cut.Before(h.next) {
		h.entries = o.Entries
		h.live, h.next = o.Entries.Live(cut)
	}
	return h
}

func same(a, b revoked.List) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// mark notes the parts in which two lists differ.
func mark(touched map[byte][]revoked.List, old, now revoked.List) {
	if same(old, now) {
		return
	}
	for number := range old.Differences(now) {
		touched[number] = nil
	}
}

// rebuild makes parts of the set anew, of what all objects have in them.
func (r *Revocations) rebuild(touched map[byte][]revoked.List) {
	if r.set != nil && len(touched) == 0 {
		return
	}
	for number := range touched {
		for _, h := range r.held {
			if l := h.used.Part(number); len(l) > 0 {
				touched[number] = append(touched[number], l)
			}
		}
	}
	r.set = r.set.Replace(touched)
}

// crowded says that not all of an object's entries have room.
func (h *heldRevocation) crowded(total int) error {
	if len(h.used) == len(h.live) {
		return nil
	}
	return fmt.Errorf("spec.entries: %d of %d are in force: %w", len(h.used), len(h.live), TooMany(total))
}

// TooMany says that the TokenRevocations of a namespace have too many entries together.
func TooMany(total int) error {
	return fmt.Errorf("the TokenRevocations and RevocationSources of the namespace have %d entries that are not over, and a sidecar holds %d, those of the oldest "+
		"objects first; take out entries whose tokens have expired, give entries an expiresAt, or take back by subject with issuedBefore "+
		"instead of by jti", total, revoked.Most)
}
