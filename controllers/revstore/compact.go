package revstore

import (
	"cmp"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/api/revoked"
)

const (
	// large is how many entries a chunk has at most: 640 KiB, and 854 KiB as the API server keeps it, which takes 1.5 MiB.
	large = 32_768
	// small chunks have less than half of that, and are merged where a source has more than manySmall of them.
	small, manySmall = large / 2, 8
	// settled is how long ago a chunk's last event is to be, so that no replica is about to write to it.
	settled = 30 * time.Second
)

// merger is a merge to be done: from goes, and into comes, unless it is empty.
type merger struct {
	from []*Object
	into revoked.List
	last time.Time
}

// plan says what to merge of one source's chunks.
func plan(chunks []*Object, now time.Time) (out []merger) {
	chunks = slices.DeleteFunc(slices.Clone(chunks), func(o *Object) bool { return now.Sub(o.Spec.LastEvent) < settled })
	slices.SortFunc(chunks, func(a, b *Object) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	littles := 0
	for _, o := range chunks {
		if len(o.Spec.Entries) < small {
			littles++
		}
	}
	var group merger
	n, due := 0, false
	flush := func() {
		if due || len(group.from) > 1 && littles > manySmall {
			out = append(out, group)
		}
		group, n, due = merger{}, 0, false
	}
	for _, o := range chunks {
		live, _ := o.Spec.Entries.Live(now)
		wilted := len(o.Spec.Entries)-len(live) > len(o.Spec.Entries)/4 || len(live) == 0
		if len(o.Spec.Entries) >= small && !wilted {
			continue
		}
		if n+len(live) > large {
			flush()
		}
		group.from, group.into, n = append(group.from, o), revoked.Merge(group.into, live), n+len(live)
		due = due || wilted
		if o.Spec.LastEvent.After(group.last) {
			group.last = o.Spec.LastEvent
		}
	}
	flush()
	return out
}
