package authpolicy

import (
	"sync"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/push"
)

// maxVersions is how many versions a history keeps before it forgets old ones.
const maxVersions = 4096

// history knows which revocations the sets had that a namespace was given. Revocations have steps: a new one begins
// whenever one is new, changed or gone. What is in a version is not listed: with thousands of revocations and a version for each
// change the lists would outgrow them. The version of a set is a hash of its content, so one that has been made in a step has
// all that was there in the step, wherever and whenever else it was made. It is safe for concurrent use.
type history struct {
	mu       sync.Mutex
	step     int                           // guarded by mu
	since    map[compile.RevocationRef]int // guarded by mu; the step in which each revocation that there is came
	versions map[revoked.Version]int       // guarded by mu; the newest step in which each version was made
	reached  map[string]int                // guarded by mu; the step of the newest known version of each sidecar, by pod UID
}

// note takes in what has become of the revocations, and the version of the set of them. It is to be called before sidecars are given that.
func (h *history) note(outcomes []compile.RevocationOutcome, version revoked.Version) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(outcomes)
	if h.versions == nil {
		h.versions, h.reached = map[revoked.Version]int{}, map[string]int{}
	}
	h.versions[version] = h.step
	if len(h.versions) > maxVersions {
		for v, step := range h.versions {
			if step != h.step {
				delete(h.versions, v)
			}
		}
	}
}

// retain forgets sidecars of other pods than these.
func (h *history) retain(sidecars map[string]push.Sidecar) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for uid := range h.reached {
		if _, ok := sidecars[uid]; !ok {
			delete(h.reached, uid)
		}
	}
}

// advance begins a step if there is cause. It is called with mu held.
func (h *history) advance(outcomes []compile.RevocationOutcome) {
	known := 0
	for _, o := range outcomes {
		if _, ok := h.since[o.Ref]; ok {
			known++
		}
	}
	if h.since != nil && known == len(outcomes) && known == len(h.since) {
		return
	}
	h.step++
	now := make(map[compile.RevocationRef]int, len(outcomes))
	for _, o := range outcomes {
		now[o.Ref] = h.step
		if step, ok := h.since[o.Ref]; ok {
			now[o.Ref] = step
		}
	}
	h.since = now
}

// came is the step in which a revocation came; false: it is not there any more.
func (h *history) came(r compile.RevocationRef) (int, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	step, ok := h.since[r]
	return step, ok
}

// next is a step that no sidecar has reached.
func (h *history) next() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.step + 1
}

// reach returns the steps of what a sidecar uses and of what it has refused; 0: none that is known. Another replica may compile
// between two changes that come as one here, and give a version that was never made here: then what the sidecar had before counts.
func (h *history) reach(c push.Sidecar) (acked, rejected int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Revocations.Acked != (revoked.Version{}) {
		if step, ok := h.versions[c.Revocations.Acked]; ok {
			h.reached[c.UID] = step
		}
		acked = h.reached[c.UID]
	}
	if c.Revocations.Rejected != (revoked.Version{}) {
		rejected = h.versions[c.Revocations.Rejected]
	}
	return acked, rejected
}
