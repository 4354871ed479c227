package source

import (
	"slices"
	"strings"
)

// remark logs what the folder holds that is of no use, or probably not meant, unless that was logged before.
func (d *Dir) remark(r rules) {
	remarks := slices.Concat(r.set.Warnings(), r.set.Skipped, r.notes, d.useless)
	all := strings.Join(remarks, "\n")
	if all == d.told {
		return
	}
	d.told = all
	for _, remark := range remarks {
		d.c.Log.Info("the rules are in force, but look at this", "remark", remark)
	}
}
