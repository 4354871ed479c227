package status

import (
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Changed reports whether next is worth a write. That keys were read again, with the same result, is so only once an hour.
func Changed(previous, next v1alpha1.AuthPolicyStatus) bool {
	if len(previous.Issuers) != len(next.Issuers) {
		return true
	}
	a, b := previous.DeepCopy(), next.DeepCopy()
	for i := range a.Issuers {
		x, y := &a.Issuers[i], &b.Issuers[i]
		if x.LastFetched != nil && y.LastFetched != nil && y.LastFetched.Sub(x.LastFetched.Time) < refreshed {
			y.LastFetched = x.LastFetched
		}
	}
	return !equality.Semantic.DeepEqual(a, b)
}

// RevocationChanged reports whether next is worth a write.
func RevocationChanged(previous, next v1alpha1.TokenRevocationStatus) bool {
	return !equality.Semantic.DeepEqual(previous, next)
}
