package revoked

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/bearerguard/bearerguard/api/policy"
)

// parts is how many parts a set has: one for each first byte of a key.
const parts = 256

// Version names a set by its content.
type Version [sha256.Size]byte

// String is the version in hex.
func (v Version) String() string { return hex.EncodeToString(v[:]) }

// Set is the revocations of a namespace. It is immutable and safe for concurrent use; a nil one is empty.
type Set struct {
	parts   [parts]*part // nil: empty
	n       int
	version Version
}

type part struct {
	list List
	sum  [sha256.Size]byte
}

func newPart(l List) *part {
	if len(l) == 0 {
		return nil
	}
	return &part{l, sha256.Sum256(l.Bytes())}
}

// empty is the set without entries.
var empty = new(Set).finish()

// SetOf returns the set of some revocations; entries that name nothing are left out.
func SetOf(revocations ...policy.Revocation) *Set {
	var all []Record
	for i := range revocations {
		all = append(all, ListOf(&revocations[i])...)
	}
	list := canonical(all)
	s := &Set{}
	for i := range parts {
		s.parts[i] = newPart(slices.Clone(list.Part(byte(i))))
	}
	return s.finish()
}

// finish counts and names the set.
func (s *Set) finish() *Set {
	h := sha256.New()
	s.n = 0
	for _, p := range s.parts {
		var sum [sha256.Size]byte
		if p != nil {
			sum = p.sum
			s.n += len(p.list)
		}
		h.Write(sum[:])
	}
	h.Sum(s.version[:0])
	return s
}

func (s *Set) orEmpty() *Set {
	if s == nil {
		return empty
	}
	return s
}

// Len returns the number of entries.
func (s *Set) Len() int { return s.orEmpty().n }

// Version names the set.
func (s *Set) Version() Version { return s.orEmpty().version }

// Replace returns a set in which these parts, by number, are new. Lists are sorted and joined; what is said twice is left out.
func (s *Set) Replace(with map[byte][]List) *Set {
	s = s.orEmpty()
	out := *s
	for number, lists := range with {
		out.parts[number] = s.parts[number].or(canonical(slices.Concat(lists...)))
	}
	return out.finish()
}

// or returns a part with this list, which is p itself if it has that.
func (p *part) or(l List) *part {
	if p != nil && slices.Equal(p.list, l) {
		return p
	}
	return newPart(slices.Clip(l))
}

// Lists calls yield with the entries, in order, one part after the other.
func (s *Set) Lists(yield func(List) bool) {
	for _, p := range s.orEmpty().parts {
		if p != nil && !yield(p.list) {
			return
		}
	}
}

// Revokes reports whether an entry that is in force at a time takes back tokens with this key that were issued at another. Both are in
// seconds since 1970; a token without a time of issue counts as older than all. It does not allocate.
func (s *Set) Revokes(k Key, issued, at int64) bool {
	if s == nil || s.n == 0 || k == (Key{}) {
		return false
	}
	p := s.parts[k[0]]
	if p == nil {
		return false
	}
	for i := p.first(k); i < len(p.list) && p.list[i].key() == k; i++ {
		if p.list[i].takes(issued, at) {
			return true
		}
	}
	return false
}

// first is the index of the first record whose key is not below k.
func (p *part) first(k Key) int {
	low, high := 0, len(p.list)
	for low < high {
		middle := int(uint(low+high) >> 1) //nolint:gosec // is positive
		if bytes.Compare(p.list[middle][:len(k)], k[:]) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// ParseVersion reads what String writes.
func ParseVersion(text string) (v Version, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(v) {
		return v, errors.New("not the version of revocations")
	}
	return Version(b), nil
}
