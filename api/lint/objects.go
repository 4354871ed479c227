package lint

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Object is a policy with its place in a cluster.
type Object struct {
	Namespace, Name string
	Selector        policy.Selector
	Spec            *policy.Spec
}

func (o *Object) id() string { return o.Namespace + "/" + o.Name }

// Objects returns the findings in each policy, and those in what they are together, by policies in the order given. Their Policy
// is set.
func Objects(objects []Object, hints Hints) []Finding {
	found := make([][]Finding, len(objects))
	for i := range objects {
		found[i] = Policy(objects[i].Spec, hints)
	}
	for i := range objects {
		found[i] = append(found[i], sharedSecrets(objects, i)...)
		found[i] = append(found[i], settledElsewhere(objects, i)...)
		for j := range found[i] {
			found[i][j].Policy = objects[i].id()
		}
	}
	return slices.Concat(found...)
}

// sharedSecrets warns of HMAC secrets of policy i that more than one workload verifies with: who can verify can sign (RFC 8725
// section 3.5), so each of them can make tokens for the others.
func sharedSecrets(objects []Object, i int) (found []Finding) {
	o := &objects[i]
	for j := range o.Spec.Issuers {
		is := &o.Spec.Issuers[j]
		ref := is.Keys.SecretRef
		if ref == nil || !slices.ContainsFunc(is.Algorithms, policy.Algorithm.HMAC) {
			continue
		}
		l := linter{}
		at := fmt.Sprintf("spec.issuers[%d].keys.secretRef", j)
		const want = "a secret for each workload, or keys of which workloads have the public half"
		switch others := sharers(objects, i, ref); {
		case o.Selector.MatchLabels == nil && o.Selector.MatchExpressions == nil:
			l.add(SharedSecret, at, "every workload of the namespace verifies with this HMAC secret, and so can make tokens for the others", want)
		case len(others) > 0:
			l.add(SharedSecret, at, fmt.Sprintf("workloads of %s verify with this HMAC secret, too, and so can make tokens for these", strings.Join(others, ", ")), want)
		}
		found = append(found, l.found...)
	}
	return found
}

// sharers returns the policies that name the same Secret for other workloads than policy i.
func sharers(objects []Object, i int, ref *policy.KeyRef) (ids []string) {
	for j := range objects {
		o := &objects[j]
		if o.Namespace != objects[i].Namespace || reflect.DeepEqual(o.Selector, objects[i].Selector) {
			continue
		}
		if slices.ContainsFunc(o.Spec.Issuers, func(is policy.Issuer) bool {
			r := is.Keys.SecretRef
			return r != nil && r.Name == ref.Name && r.Key == ref.Key
		}) {
			ids = append(ids, o.id())
		}
	}
	return ids
}

// settledElsewhere warns of allow rules of policy i to which a deny rule without conditions of another policy leaves nothing: one
// that selects all workloads that this one selects.
func settledElsewhere(objects []Object, i int) []Finding {
	l := linter{}
	left := mostComparisons
	rules := objects[i].Spec.Rules
	for j := range objects {
		o := &objects[j]
		if j == i || o.Namespace != objects[i].Namespace || o.Spec.Mode == policy.Audit || !selectsAll(o.Selector, objects[i].Selector) {
			continue
		}
		for k := range o.Spec.Rules {
			d := &o.Spec.Rules[k]
			if !refusesAll(d) {
				continue
			}
			for n := range rules {
				if left -= comparisons(d.Match, rules[n].Match); left < 0 {
					return l.found
				}
				if rules[n].Allow != nil && covers(d.Match, rules[n].Match) {
					l.add(UselessRule, fmt.Sprintf("spec.rules[%d]", n),
						fmt.Sprintf("can let no request in: deny rule %s of %s refuses every request that it matches", d.Name, o.id()), "another match for one of the two")
				}
			}
		}
	}
	return l.found
}

// selectsAll reports whether every workload that narrow selects is surely one that wide selects.
func selectsAll(wide, narrow policy.Selector) bool {
	return wide.MatchLabels == nil && wide.MatchExpressions == nil || reflect.DeepEqual(wide, narrow)
}
