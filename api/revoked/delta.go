package revoked

import (
	"errors"
	"fmt"
	"slices"
)

// Delta leads from one set to another. Its lists are sorted, and each is of one part.
type Delta struct {
	Added, Removed []List
}

// Diff returns what leads from old to now. What the sets share is not looked at.
func Diff(old, now *Set) (d Delta) {
	old, now = old.orEmpty(), now.orEmpty()
	for i := range parts {
		a, b := old.parts[i], now.parts[i]
		switch {
		case a == b || a != nil && b != nil && a.sum == b.sum:
		case a == nil:
			d.Added = append(d.Added, b.list)
		case b == nil:
			d.Removed = append(d.Removed, a.list)
		default:
			var added, removed List
			differ(a.list, b.list, func(r Record) { removed = append(removed, r) }, func(r Record) { added = append(added, r) })
			d.Added, d.Removed = appendList(d.Added, added), appendList(d.Removed, removed)
		}
	}
	return d
}

func appendList(to []List, l List) []List {
	if len(l) == 0 {
		return to
	}
	return append(to, l)
}

// Len returns the number of entries that a delta has.
func (d Delta) Len() (n int) {
	for _, l := range d.Added {
		n += len(l)
	}
	for _, l := range d.Removed {
		n += len(l)
	}
	return n
}

// Chunk is a piece of an encoded delta. The caller must not change its bytes.
type Chunk struct {
	Added, Removed []byte
}

// shared is how large a piece is that is not copied together with others, in bytes.
const shared = 16 << 10

// Chunks encodes a delta in pieces of at most so many bytes, at least one; they share the memory of large lists.
func (d Delta) Chunks(most int) []Chunk {
	var out []Chunk
	for _, b := range pieces(d.Removed, most) {
		out = append(out, Chunk{Removed: b})
	}
	for _, b := range pieces(d.Added, most) {
		if last := len(out) - 1; last >= 0 && out[last].Added == nil && len(out[last].Removed)+len(b) <= most {
			out[last].Added = b
			continue
		}
		out = append(out, Chunk{Added: b})
	}
	if len(out) == 0 {
		out = append(out, Chunk{})
	}
	return out
}

func pieces(lists []List, most int) (out [][]byte) {
	most -= most % Size
	var small []byte
	flush := func() {
		if len(small) > 0 {
			out, small = append(out, small), nil
		}
	}
	for _, l := range lists {
		b := l.Bytes()
		if len(b) >= shared || len(small)+len(b) > most {
			flush()
		}
		if len(b) < shared && len(b) <= most {
			small = append(small, b...)
			continue
		}
		for p := range slices.Chunk(b, most) {
			out = append(out, p)
		}
	}
	flush()
	return out
}

// Applier makes a set of another and the chunks of a delta. It is not safe for concurrent use.
type Applier struct {
	base           *Set
	added, removed [parts]List
	last           [2]Record // of added and removed
	n              [2]int
}

// NewApplier returns one for deltas from base; nil: from the empty set.
func NewApplier(base *Set) *Applier { return &Applier{base: base.orEmpty()} }

// Take takes in a chunk. It refuses what is no whole number of records, is not sorted, or is more than a set may have.
func (a *Applier) Take(c Chunk) error {
	if err := a.take(0, &a.added, c.Added); err != nil {
		return fmt.Errorf("added: %w", err)
	}
	if err := a.take(1, &a.removed, c.Removed); err != nil {
		return fmt.Errorf("removed: %w", err)
	}
	return nil
}

func (a *Applier) take(which int, to *[parts]List, b []byte) error {
	if len(b)%Size != 0 {
		return errors.New("not a whole number of entries")
	}
	if a.n[which] += len(b) / Size; a.n[which] > Most {
		return fmt.Errorf("more than %d entries", Most)
	}
	records := make([]Record, 0, min(len(b)/Size, shared/Size))
	flush := func() {
		if len(records) > 0 {
			number := records[0][0]
			to[number] = append(to[number], records...)
			records = records[:0]
		}
	}
	for ; len(b) > 0; b = b[Size:] {
		r := Record(b[:Size])
		if compare(a.last[which], r) >= 0 {
			return errors.New("entries are not in order")
		}
		a.last[which] = r
		if len(records) > 0 && records[0][0] != r[0] {
			flush()
		}
		records = append(records, r)
	}
	flush()
	return nil
}

// ErrOtherSet is returned by Finish if the delta does not lead from the base to the version.
var ErrOtherSet = errors.New("the revocations are not what their version says")

// Finish returns the set that the delta leads to. Parts that have what those of like have share their memory.
func (a *Applier) Finish(version Version, like *Set) (*Set, error) {
	out := *a.base
	like = like.orEmpty()
	for i := range parts {
		if len(a.added[i])+len(a.removed[i]) == 0 {
			continue
		}
		var base List
		if p := a.base.parts[i]; p != nil {
			base = p.list
		}
		list, ok := merge(base, a.added[i], a.removed[i])
		if !ok {
			return nil, ErrOtherSet
		}
		a.added[i], a.removed[i] = nil, nil
		out.parts[i] = like.parts[i].or(list)
	}
	if out.finish(); out.version != version {
		return nil, ErrOtherSet
	}
	if out.n > Most {
		return nil, fmt.Errorf("the revocations have %d entries; at most %d are taken", out.n, Most)
	}
	return &out, nil
}

// merge reports false if base has something of added, or not all of removed.
func merge(base, added, removed List) (List, bool) {
	if len(base) == 0 && len(removed) == 0 {
		return added, true
	}
	out := make(List, 0, max(len(base)+len(added)-len(removed), 0))
	for len(base) > 0 || len(added) > 0 {
		switch {
		case len(base) == 0 || len(added) > 0 && compare(added[0], base[0]) < 0:
			out, added = append(out, added[0]), added[1:]
		case len(added) > 0 && added[0] == base[0]:
			return nil, false
		case len(removed) > 0 && removed[0] == base[0]:
			base, removed = base[1:], removed[1:]
		default:
			out, base = append(out, base[0]), base[1:]
		}
	}
	return out, len(removed) == 0
}
