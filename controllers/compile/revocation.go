package compile

import (
	"cmp"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

// revoked returns what is in force of the revocations, what has become of each, and when the next entry is over.
func revoked(s Snapshot) (out []bundle.Revocation, outcomes []RevocationOutcome, next time.Time) {
	for _, r := range s.Revocations {
		outcome := RevocationOutcome{Ref: RevocationRef{Name: r.Name, UID: r.UID, Generation: r.Generation}, Problem: r.Unreadable}
		if outcome.Problem == nil {
			outcome.Problem = r.Spec.Validate("spec")
		}
		live := r.live(s.Now)
		outcome.Entries = len(live.Entries)
		outcomes = append(outcomes, outcome)
		for _, e := range live.Entries {
			if e.ExpiresAt != nil && (next.IsZero() || e.ExpiresAt.Before(next)) {
				next = e.ExpiresAt.Time
			}
		}
		if len(live.Entries) > 0 {
			out = append(out, bundle.Revocation{Namespace: s.Namespace, Name: r.Name, Revocation: live})
		}
	}
	slices.SortFunc(outcomes, func(a, b RevocationOutcome) int { return cmp.Compare(a.Ref.Name, b.Ref.Name) })
	return out, outcomes, next
}

// live returns what is in force of a revocation.
func (r Revocation) live(now time.Time) policy.Revocation {
	live := policy.Revocation{Issuer: r.Spec.Issuer}
	if live.Issuer == "" {
		return live
	}
	for _, e := range r.Spec.Entries {
		if !names(e) || e.ExpiresAt != nil && !now.Before(e.ExpiresAt.Time) {
			continue
		}
		e.Reason = "" // for people who read the object; a sidecar has no use for it
		live.Entries = append(live.Entries, e)
	}
	return live
}

// names reports whether an entry names tokens in exactly one way, as a sidecar demands.
func names(e policy.RevocationEntry) bool {
	one := policy.Revocation{Issuer: "-", Entries: []policy.RevocationEntry{e}}
	return one.Validate("") == nil
}
