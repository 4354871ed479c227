package bundle

import (
	"github.com/bearerguard/bearerguard/api/policy"
)

// Bundle is all that a sidecar needs to judge requests: the policies that select its workload and the keys that
// they name. It holds secrets; it is never logged. Revocations are apart from it: see api/revoked.
type Bundle struct {
	// Features are bits that a sidecar must understand to enforce the bundle.
	Features Features
	// Policies are sorted by namespace and name.
	Policies []Policy
	// KeySets has the resolved key sets by id. A set that a policy names and that is not here has not been resolved yet.
	KeySets map[string]KeySet
}

// Policy is one policy that selects the workload.
type Policy struct {
	Namespace, Name string
	// Generation is the object's metadata.generation; 0 in standalone mode.
	Generation int64
	Spec       policy.Spec
	// Keys and Decryption have the ids of the key sets of Spec.Issuers, in the same order; an empty Decryption id means
	// that the issuer's tokens are not encrypted.
	Keys, Decryption []string
	// Introspection has the ids under which KeySets holds what the introspection endpoints of Spec.Issuers are shown, in the same
	// order; empty: the issuer is not asked.
	Introspection []string
}

// ID is "namespace/name".
func (p Policy) ID() string { return p.Namespace + "/" + p.Name }

// IntrospectionOf returns the id in Introspection of the issuer with this index; empty if it is not asked.
func (p Policy) IntrospectionOf(i int) string {
	if i >= len(p.Introspection) {
		return ""
	}
	return p.Introspection[i]
}

// KeySet is vetted key material.
type KeySet struct {
	// JWKS is a JWK Set in the canonical form of keyset.Set; it may hold symmetric and private keys. Under an id of Policy.Introspection
	// it is a credential, as api/credential encodes it.
	JWKS []byte
}

// Features is a set of bits, each a part of a policy's meaning that a sidecar must know to enforce it.
type Features uint64

// FeatureV1Alpha1 is the meaning of version v1alpha1 of the resource. Every bundle has it.
const FeatureV1Alpha1 Features = 1 << 0

// FeatureGone is that of a sidecar which takes ServerMessage.gone. No bundle needs it.
const FeatureGone Features = 1 << 1

// FeatureCurrent is that of a sidecar which takes ServerMessage.current. No bundle needs it.
const FeatureCurrent Features = 1 << 2

// FeatureRevocations is that of a sidecar which takes ServerMessage.revocations. Every bundle needs it, since it has no revocations itself.
const FeatureRevocations Features = 1 << 3

// FeatureLeaving is that of a sidecar which takes ServerMessage.leaving. No bundle needs it.
const FeatureLeaving Features = 1 << 4

// FeatureIntrospection is that of a sidecar which asks issuers about tokens. Bundles need it whose policies say introspection.
const FeatureIntrospection Features = 1 << 16

// WaitTrailer is the gRPC trailer in which the controller says, when it ends a stream, how many milliseconds the sidecar is to wait before
// it connects again. Without it the sidecar waits as it would for a controller that is lost.
const WaitTrailer = "bearerguard-wait-ms"

// KnownFeatures are the bits that this build understands.
const KnownFeatures = FeatureV1Alpha1 | FeatureGone | FeatureCurrent | FeatureRevocations | FeatureLeaving | FeatureIntrospection
