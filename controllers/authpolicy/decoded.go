package authpolicy

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/controllers/compile"
)

// decoded are the policies of a namespace as they were last, by UID. A policy whose generation is what it was is not decoded again,
// and stays where it is, by which compile.Memory knows it.
type decoded map[types.UID]*compile.Policy

// read returns the policies that there are, and forgets others.
func (d decoded) read(objects []policyObject) []*compile.Policy {
	out := make([]*compile.Policy, len(objects))
	for i := range objects {
		o := &objects[i]
		p := d[o.UID]
		if p == nil || p.Generation != o.Generation {
			p = decodePolicy(o)
			d[o.UID] = p
		}
		out[i] = p
	}
	if len(d) > len(objects) {
		clear(d)
		for i, p := range out {
			d[objects[i].UID] = p
		}
	}
	return out
}
