package compile

import (
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

// revoked returns what is in force of the revocations, what is wrong with them by name, and when the next entry is over.
func revoked(s Snapshot) (out []bundle.Revocation, problems map[string]error, next time.Time) {
	problems = map[string]error{}
	for _, r := range s.Revocations {
		if r.Unreadable != nil {
			problems[r.Name] = r.Unreadable
		} else if err := r.Spec.Validate("spec"); err != nil {
			problems[r.Name] = err
		}
		if r.Spec.Issuer == "" {
			continue
		}
		live := policy.Revocation{Issuer: r.Spec.Issuer}
		for _, e := range r.Spec.Entries {
			if !names(e) || e.ExpiresAt != nil && !s.Now.Before(e.ExpiresAt.Time) {
				continue
			}
			if e.ExpiresAt != nil && (next.IsZero() || e.ExpiresAt.Before(next)) {
				next = e.ExpiresAt.Time
			}
			e.Reason = "" // for people who read the object; a sidecar has no use for it
			live.Entries = append(live.Entries, e)
		}
		if len(live.Entries) > 0 {
			out = append(out, bundle.Revocation{Namespace: s.Namespace, Name: r.Name, Revocation: live})
		}
	}
	return out, problems, next
}

// names reports whether an entry names tokens in exactly one way, as a sidecar demands.
func names(e policy.RevocationEntry) bool {
	one := policy.Revocation{Issuer: "-", Entries: []policy.RevocationEntry{e}}
	return one.Validate("") == nil
}
