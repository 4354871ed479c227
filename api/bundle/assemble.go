package bundle

import (
	"cmp"
	"slices"

	"github.com/bearerguard/bearerguard/api/policy"
)

// Object is a policy as it stands in the cluster or in a file.
type Object struct {
	Namespace, Name string
	Generation      int64
	Selector        policy.Selector
	Spec            policy.Spec
}

// ID is "namespace/name".
func (o Object) ID() string { return o.Namespace + "/" + o.Name }

// Assemble makes the bundle of a workload from the policies that select it and the keys resolved so far, by the ids of SourceID, DecryptionID and IntrospectionID. Keys that no policy names are left out: a sidecar is
// given no more than it needs. The order of the arguments does not matter, and none of them is changed or kept, but for
// the bytes of the key sets, which are shared.
func Assemble(policies []Object, keys map[string]KeySet) *Bundle {
	b := &Bundle{Features: FeatureV1Alpha1 | FeatureRevocations, KeySets: map[string]KeySet{}}
	for _, o := range policies {
		b.Policies = append(b.Policies, b.policy(o, keys))
	}
	slices.SortFunc(b.Policies, func(x, y Policy) int { return byID(x.Namespace, x.Name, y.Namespace, y.Name) })
	return b
}

// policy also adds the key sets that o names to b.
func (b *Bundle) policy(o Object, keys map[string]KeySet) Policy {
	p := Policy{Namespace: o.Namespace, Name: o.Name, Generation: o.Generation, Spec: o.Spec}
	for _, issuer := range o.Spec.Issuers {
		p.Keys = append(p.Keys, b.use(SourceID(o.Namespace, issuer), keys))
		p.Decryption = append(p.Decryption, b.use(DecryptionID(o.Namespace, issuer), keys))
		b.use(NonceID(o.Namespace, issuer), keys)
		p.Introspection = append(p.Introspection, b.use(IntrospectionID(o.Namespace, issuer), keys))
		if issuer.Introspection != nil {
			b.Features |= FeatureIntrospection
		}
	}
	return p
}

// nonces returns the ids of what the nonces of its issuers are made with. They follow from the spec.
func (p Policy) nonces() []string {
	var out []string
	for _, issuer := range p.Spec.Issuers {
		if id := NonceID(p.Namespace, issuer); id != "" {
			out = append(out, id)
		}
	}
	return out
}

// Named returns the ids of all key sets that the policy names; one that is named twice is there twice.
func (p Policy) Named() []string {
	return slices.Concat(p.Keys, p.Decryption, p.Introspection, p.nonces())
}

func (b *Bundle) use(id string, keys map[string]KeySet) string {
	if set, ok := keys[id]; ok && id != "" {
		b.KeySets[id] = set
	}
	return id
}

func byID(ns1, name1, ns2, name2 string) int {
	return cmp.Or(cmp.Compare(ns1, ns2), cmp.Compare(name1, name2))
}

// KeepKeys adds to b the key sets that its policies name and that it lacks, as far as previous has them, and reports
// whether there were any. A set is missing from a bundle only while its source has not been read: a controller that has
// just started, beside a provider that is down, must not take keys away that sidecars have. A set that b has stays as it
// is, so a key that was removed from it stays removed.
func (b *Bundle) KeepKeys(previous map[string]KeySet) bool {
	kept := false
	for _, p := range b.Policies {
		for _, id := range p.Named() {
			if _, ok := b.KeySets[id]; ok {
				continue
			}
			if set, ok := previous[id]; ok {
				b.KeySets[id] = set
				kept = true
			}
		}
	}
	return kept
}
