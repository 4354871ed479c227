package compile

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/bearerguard/bearerguard/api/decision"
)

// sets are the sets of policies that pods are selected by.
type sets struct {
	seed  maphash.Seed
	known map[uint64][]*set // by a hash of the members
}

// set is the policies that some pods are selected by.
type set struct {
	members []*member // oldest first
	crowded []crowded
	whole   kept    // of the members
	instead kept    // of stand-ins for all
	given   *Bundle // what the pods are given in the run
	run     uint64  // in which it was needed last
}

// kept is a bundle, or how large it is.
type kept struct {
	least  int     // of the encoded specs, in bytes; 0: not known
	length int     // of the bundle, in bytes, with the keys that there are; 0: not known
	bundle *Bundle // nil: not made, not needed, or no room for it
}

// crowded is a policy that has no place in a set, since it makes it too many issuers for a pod.
type crowded struct {
	*member
	issuers int
}

// of returns the set of some members, which it takes over.
func (s *sets) of(members []*member) *set {
	if s.known == nil {
		s.seed, s.known = maphash.MakeSeed(), map[uint64][]*set{}
	}
	slices.SortFunc(members, byPlace)
	var h maphash.Hash
	h.SetSeed(s.seed)
	var number [8]byte
	for _, m := range members {
		binary.LittleEndian.PutUint64(number[:], m.serial)
		h.Write(number[:]) //nolint:errcheck // never fails
	}
	for _, x := range s.known[h.Sum64()] {
		if slices.Equal(x.members, members) {
			return x
		}
	}
	x := newSet(members)
	s.known[h.Sum64()] = append(s.known[h.Sum64()], x)
	return x
}

// newSet also says which members have a place. Policies that compile each by itself compile together unless they have too many
// issuers, so issuers are counted and nothing is compiled.
func newSet(members []*member) *set {
	x := &set{members: members}
	issuers := 0
	for _, m := range members {
		x.whole.least += m.size
		if n := issuers + len(m.used.Spec.Issuers); n > decision.MaxIssuers {
			x.crowded = append(x.crowded, crowded{m, n})
			continue
		}
		issuers += len(m.used.Spec.Issuers)
	}
	return x
}

// weighStandIns says how large the stand-ins for all members are at least, which spares to make a bundle that there is no room for.
func (x *set) weighStandIns(check func([]Policy) error) {
	if x.instead.least > 0 {
		return
	}
	for _, m := range x.members {
		m.standIn(check)
		x.instead.least += m.light
	}
}

// standIns returns one for each member.
func (x *set) standIns(check func([]Policy) error) []Policy {
	all := make([]Policy, len(x.members))
	for i, m := range x.members {
		all[i] = m.standIn(check)
	}
	return all
}

// rekey forgets the bundles that name one of some key sets. Those of stand-ins name none.
func (s *sets) rekey(keySets []string) {
	for _, same := range s.known {
		for _, x := range same {
			if x.whole.bundle == nil || slices.ContainsFunc(keySets, x.whole.bundle.Names) {
				x.whole.bundle, x.whole.length = nil, 0
			}
		}
	}
}

// tidy forgets the sets that were not needed in a run.
func (s *sets) tidy(run uint64) {
	for hash, same := range s.known {
		same = slices.DeleteFunc(same, func(x *set) bool { return x.run != run })
		if s.known[hash] = same; len(same) == 0 {
			delete(s.known, hash)
		}
	}
}
