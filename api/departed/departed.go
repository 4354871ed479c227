// Package departed keeps which pods and service accounts have been deleted lately, so that tokens that are bound to them are
// taken no more. The controller sees deletions, and the sidecars are told.
//
// Both sides keep a Set. Its size is bounded, and no namespace can push the others' entries out of it.
package departed

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Life is how long an entry is kept: longer than tokens that the kubelet mounts are used, since it renews them each
	// day at the latest.
	Life = 24 * time.Hour
	// Most bounds the entries of a Set.
	Most = 50_000
	// Size is that of an encoded entry, in bytes.
	Size = 24
)

// UID stands for the UID of an object of Kubernetes: the first 16 bytes of its SHA-256. The zero UID is none.
type UID [16]byte

// UIDOf returns the UID for a text such as metadata.uid; none for the empty one.
func UIDOf(text string) (id UID) {
	if text == "" {
		return id
	}
	sum := sha256.Sum256([]byte(text))
	copy(id[:], sum[:])
	return id
}

// Entry is an object that is gone.
type Entry struct {
	UID UID
	// At is when it was seen to be gone, in seconds since 1970.
	At uint32
	// Namespace stands for the one that the object was in: equal for equal namespaces.
	Namespace uint32
}

// NewEntry returns the entry of an object by its namespace and UID.
func NewEntry(namespace, uid string, at time.Time) Entry {
	sum := sha256.Sum256([]byte(namespace))
	return Entry{UID: UIDOf(uid), At: uint32(max(at.Unix(), 0)), Namespace: binary.BigEndian.Uint32(sum[:])} //nolint:gosec // until 2106
}

// Encode writes entries, Size bytes each.
func Encode(entries []Entry) []byte {
	out := make([]byte, 0, Size*len(entries))
	for _, e := range entries {
		out = append(out, e.UID[:]...)
		out = binary.BigEndian.AppendUint32(out, e.At)
		out = binary.BigEndian.AppendUint32(out, e.Namespace)
	}
	return out
}

// Decode reads what Encode wrote. It refuses what is no whole number of entries, or more than Most.
func Decode(b []byte) ([]Entry, error) {
	if len(b)%Size != 0 || len(b) > Size*Most {
		return nil, errors.New("not a list of objects that are gone")
	}
	out := make([]Entry, 0, len(b)/Size)
	for ; len(b) > 0; b = b[Size:] {
		e := Entry{At: binary.BigEndian.Uint32(b[16:]), Namespace: binary.BigEndian.Uint32(b[20:])}
		copy(e.UID[:], b)
		out = append(out, e)
	}
	return out, nil
}

// Set is a bounded set of entries. The zero Set is empty, and a nil one stays so. It is safe for concurrent use.
type Set struct {
	size atomic.Int64 // of has; spares the lock while there is nothing

	mu    sync.RWMutex
	has   map[UID]bool   // guarded by mu
	order []record       // guarded by mu; as they came
	last  uint64         // guarded by mu: the number of the newest record
	share map[uint32]int // guarded by mu: entries by namespace
}

// record is an entry by the number of its arrival.
type record struct {
	Entry
	number uint64
}

// Len returns the number of entries.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return int(s.size.Load())
}

// Has reports whether the object is gone. It does not allocate.
func (s *Set) Has(id UID) bool {
	if s == nil || s.size.Load() == 0 || id == (UID{}) {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.has[id]
}

// Add takes entries in, as of now, and drops those that are older than Life. Where there are too many, the namespace that
// has most gives up its oldest. It reports whether anything is new.
func (s *Set) Add(now time.Time, entries ...Entry) (grew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has == nil {
		s.has, s.share = map[UID]bool{}, map[uint32]int{}
	}
	oldest := now.Add(-Life).Unix()
	if len(s.order) > 0 && int64(s.order[0].At) < oldest {
		s.drop(func(r record) bool { return int64(r.At) < oldest })
	}
	for _, e := range entries {
		if s.has[e.UID] || e.UID == (UID{}) || int64(e.At) < oldest {
			continue
		}
		s.last++
		s.has[e.UID] = true
		s.share[e.Namespace]++
		s.order = append(s.order, record{e, s.last})
		grew = true
		if len(s.order) > Most {
			s.shed()
		}
	}
	s.size.Store(int64(len(s.has)))
	return grew
}

// shed drops the oldest quarter of the namespace that has most.
func (s *Set) shed() {
	var largest uint32
	most := 0
	for namespace, n := range s.share {
		if n > most || n == most && namespace < largest {
			largest, most = namespace, n
		}
	}
	left := most/4 + 1
	s.drop(func(r record) bool {
		if r.Namespace != largest || left == 0 {
			return false
		}
		left--
		return true
	})
}

// drop is called with mu held.
func (s *Set) drop(condition func(record) bool) {
	s.order = slices.DeleteFunc(s.order, func(r record) bool {
		if !condition(r) {
			return false
		}
		delete(s.has, r.UID)
		if s.share[r.Namespace]--; s.share[r.Namespace] == 0 {
			delete(s.share, r.Namespace)
		}
		return true
	})
}

// After returns the entries that came after the one with this number, and the number of the newest; 0 is before all.
func (s *Set) After(number uint64) ([]Entry, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	from, _ := slices.BinarySearchFunc(s.order, number+1, func(r record, n uint64) int {
		switch {
		case r.number < n:
			return -1
		case r.number > n:
			return 1
		}
		return 0
	})
	out := make([]Entry, 0, len(s.order)-from)
	for _, r := range s.order[from:] {
		out = append(out, r.Entry)
	}
	return out, s.last
}
