package authpolicy

import (
	"hash/maphash"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/status"
)

// looks are what the statuses of a namespace's policies were made of the last time, by UID: of one that is made of the same nothing
// has to be computed. They are not safe for concurrent use.
type looks map[types.UID]look

// look is a status, and what it was made of.
type look struct {
	sum     uint64
	at      time.Time // when it was made
	changes time.Time // when it changes by time alone; zero: never
	status  v1alpha1.AuthPolicyStatus
}

// holds reports whether the status is what it was, if it is made of the same sum. That keys were read again counts twice in
// refresh.
func (l look) holds(sum uint64, now time.Time) bool {
	return l.sum == sum && now.Sub(l.at) < refresh/2 && (l.changes.IsZero() || now.Before(l.changes))
}

// retain forgets policies that are not here.
func (l looks) retain(here map[types.UID]bool) {
	for uid := range l {
		if !here[uid] {
			delete(l, uid)
		}
	}
}

var lookSeed = maphash.MakeSeed()

// sumOf is a hash of what a status is made of, but for the time now, the times at which keys were read, and the status before, for which
// the version of the object stands.
func sumOf(o *policyObject, in *status.Input) uint64 {
	var h maphash.Hash
	h.SetSeed(lookSeed)
	text := func(parts ...string) {
		for _, s := range parts {
			maphash.WriteComparable(&h, len(s))
			_, _ = h.WriteString(s) // never fails
		}
	}
	text(string(o.UID), o.ResourceVersion, in.Note, in.Unfenced)
	if in.Problem != nil {
		text(in.Problem.Error())
	}
	maphash.WriteComparable(&h, [3]int64{in.Generation, int64(len(in.Issuers)), int64(len(in.Pods))})
	maphash.WriteComparable(&h, in.Elected)
	for _, i := range in.Issuers {
		text(i.Name, i.Failure, i.Note)
		maphash.WriteComparable(&h, [2]int{i.Keys, len(i.Without)})
		maphash.WriteComparable(&h, i.Fetched.IsZero())
		text(i.Without...)
	}
	for _, p := range in.Pods {
		maphash.WriteComparable(&h, p)
	}
	return h.Sum64()
}
