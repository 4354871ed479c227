package compile

import (
	"cmp"
	"fmt"

	"github.com/bearerguard/bearerguard/api/bundle"
)

// maxBytes bounds the bundles of one namespace together, in bytes. A bundle is held once for each set of policies that any
// pod is selected by, so a few large policies and some pods with labels of their own could use up the memory of all.
const maxBytes = 2 * bundle.MaxSize

// fitting returns the bundle of the selected policies or, if there is no room for it, one of stand-ins for all of them.
func (c *compiler) fitting(selected []admitted) (*Bundle, error) {
	size := 0
	for _, p := range selected {
		size += p.size
	}
	if c.room(size) {
		b, err := c.encode(c.together(selected))
		if err != nil || c.room(len(b.Encoded)) {
			return b, err
		}
	}
	instead := make([]Policy, len(selected))
	for i, p := range selected {
		instead[i] = c.standIn(p.Policy)
		if p.outcome.Problem == nil {
			p.outcome.Problem = fmt.Errorf("is too large together with others: what one pod is given may have %d bytes, and what "+
				"all pods of the namespace are given %d; use smaller policies, or fewer that select only some of the pods",
				bundle.MaxSize, maxBytes)
		}
	}
	return c.encode(instead)
}

func (c *compiler) room(size int) bool {
	return size <= bundle.MaxSize && c.bytes+size <= maxBytes
}

func byName(a, b Workload) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}
