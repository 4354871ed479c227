package check

import (
	"crypto/rand"
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
	set      *manifest.Set
	given    map[string][]byte // by issuer name, instead of its source
	standIns map[string][]byte // by source
	keys     map[string]bundle.KeySet
	notes    []string
	wanted   map[string]bool // names in given that an issuer has
}

// resolve returns the key sets by their ids, and remarks on sources that are not resolved and keys that are left out.
func resolve(set *manifest.Set, in *Input) (map[string]bundle.KeySet, []string, error) {
	r := resolver{set: set, given: in.Keys, standIns: in.standIns, keys: map[string]bundle.KeySet{}, wanted: map[string]bool{}}
	for _, o := range set.Policies {
		for i, is := range o.Spec.Issuers {
			at := fmt.Sprintf("%s: spec.issuers[%d]", o.ID(), i)
			if is.Keys != (policy.KeySource{}) {
				r.verification(at, o.Namespace, is)
			}
			r.credential(at, o.Namespace, is)
			r.nonces(at, o.Namespace, is)
			if d := is.Decryption; d != nil {
				r.ref(at+".decryption.secretRef", bundle.DecryptionID(o.Namespace, is),
					object{set.Secrets, "Secret", o.Namespace, d.SecretRef}, keyset.DecryptionReading(d.SecretRef))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.given)) {
		if !r.wanted[name] {
			return nil, nil, fmt.Errorf("no policy has an issuer with the name %q", name)
		}
	}
	return r.keys, r.notes, nil
}

// nonces takes what an issuer's nonces are made with. Where that is the sidecars' own there is something else here, since without
// anything they would answer 503.
func (r *resolver) nonces(at, namespace string, is policy.Issuer) {
	id := bundle.NonceID(namespace, is)
	if id == "" {
		return
	}
	if ref := is.Proof.NonceSecretRef; ref != nil {
		r.ref(at+".proof.nonceSecretRef", id, object{r.set.Secrets, "Secret", namespace, *ref}, keyset.NonceReading(*ref))
		return
	}
	root := make([]byte, keyset.MinNonceRoot)
	_, _ = rand.Read(root) // it never fails
	set, err := keyset.Nonces(root, namespace)
	if err != nil {
		r.notes = append(r.notes, fmt.Sprintf("%s.proof.nonce: %v", at, err))
		return
	}
	r.keys[id] = bundle.KeySet{JWKS: set}
	r.notes = append(r.notes, at+".proof.nonce: what the sidecars' nonces are made with is not known here, so no proof has a good one")
}

func (r *resolver) verification(at, namespace string, is policy.Issuer) {
	id, as := bundle.SourceID(namespace, is), keyset.ReadingOf(&is)
	var set *keyset.Set
	switch k := is.Keys; {
	case r.standIns[id] != nil:
		r.wanted[is.Name] = true
		r.keys[id] = bundle.KeySet{JWKS: r.standIns[id]}
	case r.given[is.Name] != nil:
		r.wanted[is.Name] = true
		if k.SecretRef == nil {
			as = keyset.Reading{Use: keyset.Verify, Secret: is.OnlyHMAC(), SVID: k.SPIFFE != nil}
		}
		at += ".keys"
		set = r.parse(at, id, r.given[is.Name], as)
	case k.JWKS != "":
		at += ".keys.jwks"
		set = r.parse(at, id, []byte(k.JWKS), as)
	case k.SecretRef != nil:
		at += ".keys.secretRef"
		set = r.ref(at, id, object{r.set.Secrets, "Secret", namespace, *k.SecretRef}, as)
	case k.SPIFFE != nil && k.SPIFFE.ConfigMapRef != nil:
		at += ".keys.spiffe.configMapRef"
		set = r.ref(at, id, object{r.set.ConfigMaps, "ConfigMap", namespace, *k.SPIFFE.ConfigMapRef}, as)
	case k.ConfigMapRef != nil:
		at += ".keys.configMapRef"
		set = r.ref(at, id, object{r.set.ConfigMaps, "ConfigMap", namespace, *k.ConfigMapRef}, as)
	default:
		r.note(at+".keys", fmt.Sprintf("is not fetched; --keys %s=FILE gives keys for it", is.Name))
	}
	if set != nil {
		if err := keyset.Serves(set.Algorithms(), &is); err != nil {
			r.note(at, err.Error())
		}
	}
}

// object is an entry of a Secret or ConfigMap, and where such objects are.
type object struct {
	from            map[manifest.Ref]manifest.Data
	kind, namespace string
	ref             policy.KeyRef
}

func (r *resolver) ref(at, id string, o object, as keyset.Reading) *keyset.Set {
	entries, ok := o.from[manifest.Ref{Namespace: o.namespace, Name: o.ref.Name}]
	if !ok {
		r.note(at, fmt.Sprintf("%s %s/%s is in none of the files", o.kind, o.namespace, o.ref.Name))
		return nil
	}
	data, ok := entries[o.ref.Key]
	if !ok {
		r.note(at, fmt.Sprintf("%s %s/%s has no entry %q", o.kind, o.namespace, o.ref.Name, o.ref.Key))
		return nil
	}
	return r.parse(at, id, data, as)
}

// parse returns nil for what cannot be used, which is noted.
func (r *resolver) parse(at, id string, data []byte, as keyset.Reading) *keyset.Set {
	set, err := keyset.Read(data, as)
	if err != nil {
		r.note(at, err.Error())
		return nil
	}
	for _, note := range set.Notes() {
		r.note(at, note)
	}
	r.keys[id] = bundle.KeySet{JWKS: set.Canonical()}
	return set
}

func (r *resolver) note(at, problem string) { r.notes = append(r.notes, at+": "+problem) }
