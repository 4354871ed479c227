package gate

import (
	"fmt"
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/dpop"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// keyCache parses each key set of a bundle once while a snapshot is built.
type keyCache struct {
	bundle     *bundle.Bundle
	sets       map[keyUse]*keyset.Set
	unresolved []string
}

type keyUse struct {
	id  string
	use keyset.Use
}

func (k *keyCache) issuer(spec policy.Issuer, keys, decryption string) (issuer, error) {
	verify, err := k.set(keys, keyset.Verify)
	if err != nil {
		return issuer{}, err
	}
	decrypt, err := k.set(decryption, keyset.Decrypt)
	if err != nil {
		return issuer{}, err
	}
	v, err := token.NewVerifier(token.Config{Issuer: spec, Keys: verify, Decryption: decrypt})
	if err != nil {
		return issuer{}, err
	}
	is := issuer{verifier: v, maxAge: maxAge(spec), onlyDPoP: spec.Proof != nil && spec.Proof.DPoP == policy.BindingRequired}
	if k := spec.Keys; k.URL() != "" || k.Discovery != nil || k.Kubernetes != nil {
		is.source = keys
	}
	return is, nil
}

// proofs returns what an issuer of a namespace wants of proofs; nil if it takes none.
func (k *keyCache) proofs(namespace string, spec policy.Issuer) (*dpop.Settings, error) {
	nonces, err := k.set(bundle.NonceID(namespace, spec), keyset.Verify)
	if err != nil {
		return nil, err
	}
	var secrets [][]byte
	if nonces != nil {
		secrets = nonces.Secrets()
	}
	return dpop.NewSettings(&spec, secrets)
}

// set returns nil for a set that has not been resolved yet.
func (k *keyCache) set(id string, use keyset.Use) (*keyset.Set, error) {
	if id == "" {
		return nil, nil //nolint:nilnil // no set is what the verifier wants for no keys
	}
	if set, ok := k.sets[keyUse{id, use}]; ok {
		return set, nil
	}
	raw, ok := k.bundle.KeySets[id]
	if !ok {
		if !slices.Contains(k.unresolved, id) {
			k.unresolved = append(k.unresolved, id)
		}
		return nil, nil //nolint:nilnil // as above
	}
	set, err := keyset.Parse(raw.JWKS, use)
	if err != nil {
		return nil, fmt.Errorf("key set %s: %w", id, err)
	}
	k.sets[keyUse{id, use}] = set
	return set, nil
}

func maxAge(spec policy.Issuer) time.Duration {
	if spec.MaxAge == nil {
		return 0
	}
	return spec.MaxAge.Duration + spec.Skew()
}

// credential returns what an introspection endpoint is shown, or nil if that has not been resolved yet.
func (k *keyCache) credential(id string) []byte {
	raw, ok := k.bundle.KeySets[id]
	if !ok && !slices.Contains(k.unresolved, id) {
		k.unresolved = append(k.unresolved, id)
	}
	return raw.JWKS
}

// asked are the issuers of a snapshot that are asked about tokens, and where each is: its side and its place there.
type asked struct {
	all []Asked
	at  []struct {
		side *side
		n    int
	}
}

// add notes the issuer that is to be the next of its side.
func (a *asked) add(to *side, credential []byte, spec policy.Issuer) {
	a.all = append(a.all, Asked{Issuer: spec, Credential: credential})
	a.at = append(a.at, struct {
		side *side
		n    int
	}{to, len(to.issuers)})
}

// open gives the issuers their endpoints. It is called for a snapshot that asks nobody, too: what was asked before may be given up.
func (a *asked) open(open func([]Asked) ([]Endpoint, error)) error {
	if open == nil {
		return nil
	}
	endpoints, err := open(a.all)
	if err != nil {
		return err
	}
	for i, at := range a.at {
		at.side.issuers[at.n].endpoint = endpoints[i]
	}
	return nil
}

func answerTTL(in *policy.Introspection) time.Duration {
	if in.CacheTTL == nil {
		return decision.DefaultAnswerTTL
	}
	return in.CacheTTL.Duration
}
