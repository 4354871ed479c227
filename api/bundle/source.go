package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// SourceID names the source of an issuer's verification keys: two issuers with the same id share one key set. It is
// the key in Bundle.KeySets and holds no secret. A source with no field set has the empty id.
func SourceID(namespace string, issuer policy.Issuer) string {
	k := issuer.Keys
	switch {
	case k.JWKSURL != "":
		return withCA("url:"+k.JWKSURL, namespace, issuer.CASecretRef)
	case k.Discovery != nil && k.Discovery.URL != "":
		return withCA("discovery:"+k.Discovery.URL+" issuer:"+issuer.Issuer, namespace, issuer.CASecretRef)
	case k.Discovery != nil:
		return withCA("discovery: issuer:"+issuer.Issuer, namespace, issuer.CASecretRef)
	case k.JWKS != "":
		sum := sha256.Sum256([]byte(k.JWKS))
		return "inline:" + hex.EncodeToString(sum[:16])
	case k.SecretRef != nil:
		return "secret:" + refID(namespace, *k.SecretRef)
	case k.ConfigMapRef != nil:
		return "configmap:" + refID(namespace, *k.ConfigMapRef)
	case k.Kubernetes != nil:
		return "kubernetes"
	}
	return ""
}

// DecryptionID names the source of an issuer's decryption keys; empty if it has none.
func DecryptionID(namespace string, issuer policy.Issuer) string {
	if issuer.Decryption == nil {
		return ""
	}
	return "decryption:" + refID(namespace, issuer.Decryption.SecretRef)
}

func withCA(id, namespace string, ca *policy.KeyRef) string {
	if ca == nil {
		return id
	}
	return id + " ca:" + refID(namespace, *ca)
}

func refID(namespace string, r policy.KeyRef) string {
	return strings.Join([]string{namespace, r.Name, r.Key}, "/")
}
