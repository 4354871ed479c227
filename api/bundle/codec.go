package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/policy"
)

// MaxSize bounds an encoded bundle, in bytes: 64 MiB.
const MaxSize = 64 << 20

// ErrUnknownFeature is returned by Decode for a bundle that needs more than this build understands.
var ErrUnknownFeature = errors.New("bundle needs a feature that this release does not know; upgrade the sidecar")

// Version names an encoded bundle by its content: the hex SHA-256.
func Version(encoded []byte) string {
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// Encode writes b as a Bundle message. Equal bundles have equal bytes, within one release.
func Encode(b *Bundle) ([]byte, error) {
	m := &pushv1.Bundle{Features: uint64(b.Features)}
	for _, p := range b.Policies {
		spec, err := json.Marshal(p.Spec)
		if err != nil {
			return nil, fmt.Errorf("encode policy %s: %w", p.ID(), err)
		}
		m.Policies = append(m.Policies, &pushv1.Policy{
			Namespace: p.Namespace, Name: p.Name, Generation: p.Generation, Spec: spec, IssuerKeys: issuerKeys(p),
		})
	}
	for _, id := range slices.Sorted(maps.Keys(b.KeySets)) {
		m.KeySets = append(m.KeySets, &pushv1.KeySet{Id: id, Jwks: b.KeySets[id].JWKS})
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func issuerKeys(p Policy) []*pushv1.IssuerKeys {
	out := make([]*pushv1.IssuerKeys, len(p.Keys))
	for i := range p.Keys {
		out[i] = &pushv1.IssuerKeys{Verification: p.Keys[i], Decryption: p.Decryption[i], Introspection: p.IntrospectionOf(i)}
	}
	return out
}

// ErrNewer is returned by Decode for a bundle that has what this build does not know, a field of a message or of a policy.
var ErrNewer = errors.New("the bundle is of a release that knows more; upgrade the sidecar")

// Decode reads what Encode wrote, in this release or one before. It refuses what it does not know, a feature bit, a field of a message or of
// a policy, so that an old sidecar never half-enforces a new rule. Errors name the policy and hold no key material.
func Decode(encoded []byte) (*Bundle, error) {
	if len(encoded) > MaxSize {
		return nil, fmt.Errorf("decode bundle: has %d bytes; at most %d are taken", len(encoded), MaxSize)
	}
	var m pushv1.Bundle
	if err := proto.Unmarshal(encoded, &m); err != nil {
		return nil, errors.New("decode bundle: not a Bundle message")
	}
	if unknown := Features(m.GetFeatures()) &^ KnownFeatures; unknown != 0 {
		return nil, fmt.Errorf("%w (bits %#x)", ErrUnknownFeature, uint64(unknown))
	}
	if hasUnknown(&m) {
		return nil, fmt.Errorf("decode bundle: %w", ErrNewer)
	}
	b := &Bundle{Features: Features(m.GetFeatures()), KeySets: make(map[string]KeySet, len(m.GetKeySets()))}
	for _, p := range m.GetPolicies() {
		d, err := decodePolicy(p)
		if err != nil {
			return nil, fmt.Errorf("decode policy %s/%s: %w", p.GetNamespace(), p.GetName(), err)
		}
		b.Policies = append(b.Policies, d)
	}
	for _, k := range m.GetKeySets() {
		b.KeySets[k.GetId()] = KeySet{JWKS: k.GetJwks()}
	}
	return b, nil
}

func decodePolicy(m *pushv1.Policy) (Policy, error) {
	p := Policy{Namespace: m.GetNamespace(), Name: m.GetName(), Generation: m.GetGeneration()}
	var err error
	if p.Spec, err = policy.DecodeSpec(m.GetSpec()); err != nil {
		return p, err
	}
	if len(m.GetIssuerKeys()) != len(p.Spec.Issuers) {
		return p, fmt.Errorf("has keys for %d issuers; want %d", len(m.GetIssuerKeys()), len(p.Spec.Issuers))
	}
	for _, k := range m.GetIssuerKeys() {
		p.Keys = append(p.Keys, k.GetVerification())
		p.Decryption = append(p.Decryption, k.GetDecryption())
		p.Introspection = append(p.Introspection, k.GetIntrospection())
	}
	return p, nil
}

// hasUnknown reports whether a bundle has fields that push.proto lacks, at any depth.
func hasUnknown(m *pushv1.Bundle) bool {
	unknown := func(m proto.Message) bool { return len(m.ProtoReflect().GetUnknown()) > 0 }
	for _, p := range m.GetPolicies() {
		if unknown(p) {
			return true
		}
		for _, k := range p.GetIssuerKeys() {
			if unknown(k) {
				return true
			}
		}
	}
	for _, k := range m.GetKeySets() {
		if unknown(k) {
			return true
		}
	}
	return unknown(m)
}
