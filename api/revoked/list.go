package revoked

import (
	"iter"
	"slices"
	"time"
	"unsafe"

	"github.com/bearerguard/bearerguard/api/policy"
)

// List is sorted records, none of which says nothing more than another. It is not changed once made.
type List []Record

// ListOf returns the entries of a revocation; those that name nothing are left out.
func ListOf(r *policy.Revocation) List {
	out := make(List, 0, len(r.Entries))
	for i := range r.Entries {
		if e, ok := RecordOf(r.Issuer, &r.Entries[i]); ok {
			out = append(out, e)
		}
	}
	return slices.Clip(canonical(out))
}

// ReadList reads records that Bytes wrote, in any order. What is left over at the end and no whole record is left out. It copies.
func ReadList(b []byte) List {
	out := make([]Record, 0, len(b)/Size)
	for ; len(b) >= Size; b = b[Size:] {
		out = append(out, Record(b[:Size]))
	}
	return canonical(out)
}

// Merge returns all that some lists take back, in one.
func Merge(lists ...List) List { return canonical(slices.Concat(lists...)) }

// canonical makes a list of records in any order. It changes its argument.
func canonical(records []Record) List {
	slices.SortFunc(records, compare)
	// Within a key, records are sorted by issuedBefore, then by expiresAt: from the end, one that is not over later than all after
	// it takes back no token that those do not.
	kept := len(records)
	var key Key
	var latest uint32
	for i := len(records) - 1; i >= 0; i-- {
		r := &records[i]
		if same := kept < len(records) && r.key() == key; same && r.expires() <= latest {
			continue
		}
		key, latest = r.key(), r.expires()
		kept--
		records[kept] = *r
	}
	return List(slices.Delete(records, 0, kept))
}

// Bytes returns the list encoded. The caller must not change it.
func (l List) Bytes() []byte {
	if len(l) == 0 {
		return nil
	}
	return unsafe.Slice(&l[0][0], len(l)*Size) //nolint:gosec // an array of arrays of bytes is so many bytes in a row
}

// Live returns the list without entries that are over, which is the list itself if none is, and when the next one is over; zero: never.
func (l List) Live(now time.Time) (live List, next time.Time) {
	at, first, over := now.Unix(), uint32(forever), 0
	for i := range l {
		if l[i].over(at) {
			over++
		} else {
			first = min(first, l[i].expires())
		}
	}
	live = l
	if over > 0 {
		live = make(List, 0, len(l)-over)
		for i := range l {
			if !l[i].over(at) {
				live = append(live, l[i])
			}
		}
	}
	if first != forever {
		next = time.Unix(int64(first), 0)
	}
	return live, next
}

// Part returns the records of the part with this number, 0 to 255.
func (l List) Part(number byte) List {
	start, _ := slices.BinarySearchFunc(l, number, func(r Record, n byte) int { return int(r[0]) - int(n) })
	end := len(l)
	if number < 255 {
		end, _ = slices.BinarySearchFunc(l, number+1, func(r Record, n byte) int { return int(r[0]) - int(n) })
	}
	return l[start:end]
}

// differ calls each with every record that only one of the lists has.
func differ(old, now List, removed, added func(Record)) {
	for len(old) > 0 || len(now) > 0 {
		c := 0
		switch {
		case len(now) == 0:
			c = -1
		case len(old) == 0:
			c = 1
		default:
			c = compare(old[0], now[0])
		}
		if c < 0 {
			removed(old[0])
		}
		if c > 0 {
			added(now[0])
		}
		if c <= 0 {
			old = old[1:]
		}
		if c >= 0 {
			now = now[1:]
		}
	}
}

// Differences calls yield with the number of each part in which two lists differ, in order.
func (l List) Differences(other List) iter.Seq[byte] {
	return func(yield func(byte) bool) {
		for i := range parts {
			if number := byte(i); !slices.Equal(l.Part(number), other.Part(number)) && !yield(number) {
				return
			}
		}
	}
}
