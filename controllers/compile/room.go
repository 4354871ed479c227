package compile

import (
	"cmp"
	"fmt"

	"github.com/bearerguard/bearerguard/api/bundle"
)

// maxBytes bounds the bundles of one namespace together, in bytes. A bundle is held once for each set of policies that any
// pod is selected by, so a few large policies and some pods with labels of their own could use up the memory of all.
const maxBytes = 2 * bundle.MaxSize

// room is how many bytes one bundle may have, and all of a namespace together. Zero: as many as they ever may.
type room struct{ one, all int }

func (r room) withDefaults() room {
	return room{one: cmp.Or(r.one, bundle.MaxSize), all: cmp.Or(r.all, maxBytes)}
}

// fitting returns the bundle of a set of policies or, if there is no room for it, one of stand-ins for all of them. A bundle that
// there is no room for is not kept, but for its size.
func (c *compiler) fitting(s *set) (*Bundle, error) {
	if c.fits(s.size) {
		for _, x := range s.crowded {
			c.note(x.member, tooManyIssuers(x.issuers))
		}
		if s.bundle == nil && (s.length == 0 || c.fits(s.length)) {
			b, err := c.encode(c.together(s))
			if err != nil {
				return nil, err
			}
			s.bundle, s.length = b, len(b.Encoded)
		}
		if c.fits(s.length) {
			s.instead = nil
			return s.bundle, nil
		}
	}
	s.bundle = nil
	instead := make([]Policy, len(s.members))
	for i, m := range s.members {
		instead[i] = m.standIn(c.members.check)
		c.note(m, fmt.Errorf("is too large together with others: what one pod is given may have %d bytes, and what "+
			"all pods of the namespace are given %d; use smaller policies, or fewer that select only some of the pods",
			c.room.one, c.room.all))
	}
	if s.instead == nil {
		b, err := c.encode(instead)
		if err != nil {
			return nil, err
		}
		s.instead = b
	}
	return s.instead, nil
}

func (c *compiler) fits(size int) bool {
	return size <= c.room.one && c.bytes+size <= c.room.all
}

func byName(a, b Workload) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}
