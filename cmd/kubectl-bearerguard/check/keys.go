package check

import (
	"fmt"
	"maps"
	"slices"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// resolver finds the keys that policies name, in the files at hand.
type resolver struct {
	set    *manifest.Set
	given  map[string][]byte // by issuer name, instead of its source
	keys   map[string]bundle.KeySet
	notes  []string
	wanted map[string]bool // names in given that an issuer has
}

// resolve returns the key sets by their ids, and remarks on sources that are not resolved and keys that are left out.
func resolve(set *manifest.Set, given map[string][]byte) (map[string]bundle.KeySet, []string, error) {
	r := resolver{set: set, given: given, keys: map[string]bundle.KeySet{}, wanted: map[string]bool{}}
	for _, o := range set.Policies {
		for i, is := range o.Spec.Issuers {
			at := fmt.Sprintf("%s: spec.issuers[%d]", o.ID(), i)
			r.verification(at, o.Namespace, is)
			if d := is.Decryption; d != nil {
				r.ref(at+".decryption.secretRef", bundle.DecryptionID(o.Namespace, is), set.Secrets, "Secret", o.Namespace, d.SecretRef, keyset.Decrypt)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !r.wanted[name] {
			return nil, nil, fmt.Errorf("no policy has an issuer with the name %q", name)
		}
	}
	return r.keys, r.notes, nil
}

func (r *resolver) verification(at, namespace string, is policy.Issuer) {
	id := bundle.SourceID(namespace, is)
	if data, ok := r.given[is.Name]; ok {
		r.wanted[is.Name] = true
		r.parse(at+".keys", id, data, keyset.Verify)
		return
	}
	switch k := is.Keys; {
	case k.JWKS != "":
		r.parse(at+".keys.jwks", id, []byte(k.JWKS), keyset.Public)
	case k.SecretRef != nil:
		r.ref(at+".keys.secretRef", id, r.set.Secrets, "Secret", namespace, *k.SecretRef, keyset.Verify)
	case k.ConfigMapRef != nil:
		r.ref(at+".keys.configMapRef", id, r.set.ConfigMaps, "ConfigMap", namespace, *k.ConfigMapRef, keyset.Public)
	default:
		r.note(at+".keys", fmt.Sprintf("is not fetched; --keys %s=FILE gives keys for it", is.Name))
	}
}

func (r *resolver) ref(at, id string, from map[manifest.Ref]manifest.Data, kind, namespace string, ref policy.KeyRef, use keyset.Use) {
	object, ok := from[manifest.Ref{Namespace: namespace, Name: ref.Name}]
	if !ok {
		r.note(at, fmt.Sprintf("%s %s/%s is in none of the files", kind, namespace, ref.Name))
		return
	}
	data, ok := object[ref.Key]
	if !ok {
		r.note(at, fmt.Sprintf("%s %s/%s has no entry %q", kind, namespace, ref.Name, ref.Key))
		return
	}
	r.parse(at, id, data, use)
}

func (r *resolver) parse(at, id string, data []byte, use keyset.Use) {
	set, err := keyset.Parse(data, use)
	if err != nil {
		r.note(at, err.Error())
		return
	}
	for _, problem := range set.Problems() {
		r.note(at, problem)
	}
	r.keys[id] = bundle.KeySet{JWKS: set.Canonical()}
}

func (r *resolver) note(at, problem string) { r.notes = append(r.notes, at+": "+problem) }
