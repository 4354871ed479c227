package compile

import (
	"cmp"
	"fmt"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

// maxBytes bounds the bundles of one namespace together, in bytes. A bundle is held once for each set of policies that any
// pod is selected by, so a few large policies and some pods with labels of their own could use up the memory of all.
const maxBytes = 2 * bundle.MaxSize

// room is how many bytes one bundle may have, and all of a namespace together. Zero: as many as they ever may.
type room struct{ one, all int }

func (r room) withDefaults() room {
	return room{one: cmp.Or(r.one, bundle.MaxSize), all: cmp.Or(r.all, maxBytes)}
}

// fitting returns the bundle of a set of policies or, if there is no room for it, one of stand-ins for all of them or, if there is
// none for that either, the one that refuses everything.
func (c *compiler) fitting(s *set) (*Bundle, error) {
	if c.fits(s.whole.least) {
		for _, x := range s.crowded {
			c.note(x.member, tooManyIssuers(x.issuers))
		}
	}
	if b, err := c.within(&s.whole, func() []Policy { return c.together(s) }); b != nil || err != nil {
		s.instead.bundle = nil
		return b, err
	}
	tooLarge := c.room.tooLarge()
	for _, m := range s.members {
		c.note(m, tooLarge)
	}
	s.weighStandIns(c.members.check)
	if b, err := c.within(&s.instead, func() []Policy { return s.standIns(c.members.check) }); b != nil || err != nil {
		return b, err
	}
	return c.refusingAll()
}

// within returns the bundle of some policies, and takes the room for it. Nil: there is none, and the bundle is not kept, but for its
// size.
func (c *compiler) within(k *kept, policies func() []Policy) (*Bundle, error) {
	if k.bundle == nil && c.fits(max(k.least, k.length)) {
		b, err := c.encode(policies())
		if err != nil {
			return nil, err
		}
		k.bundle, k.length = b, len(b.Encoded)
	}
	if k.bundle == nil || !c.fits(max(k.least, k.length)) {
		k.bundle = nil
		return nil, nil
	}
	c.bytes += k.length
	return k.bundle, nil
}

// refusingAll returns the bundle that all share for which there is no room. It is small, and takes none.
func (c *compiler) refusingAll() (*Bundle, error) {
	if c.refusal == nil {
		b, err := c.encode([]Policy{{Name: tooLargeTogether, Spec: policy.Spec{Mode: policy.Enforce, Rules: rules(true)}}})
		if err != nil {
			return nil, err
		}
		b.Ref.Policies = nil // none of the namespace's
		c.refusal = b
	}
	return c.refusal, nil
}

func (r room) tooLarge() error {
	return fmt.Errorf("is too large together with others: what one pod is given may have %d bytes, and what "+
		"all pods of the namespace are given %d; use smaller policies, or fewer that select only some of the pods", r.one, r.all)
}

func (c *compiler) fits(size int) bool {
	return size <= c.room.one && c.bytes+size <= c.room.all
}

func byName(a, b Workload) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}
