package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// SourceID names the source of an issuer's verification keys: two issuers with the same id share one key set. It is
// the key in Bundle.KeySets and holds no secret. A source with no field set has the empty id. No text in an issuer can make
// its id that of another source: a part that could end early is quoted.
func SourceID(namespace string, issuer policy.Issuer) string {
	k := issuer.Keys
	switch {
	case k.JWKSURL != "":
		return withCA("url:"+part(k.JWKSURL), namespace, issuer.CASecretRef)
	case k.Discovery != nil && k.Discovery.URL != "":
		return withCA("discovery:"+part(k.Discovery.URL)+" issuer:"+part(issuer.Issuer), namespace, issuer.CASecretRef)
	case k.Discovery != nil:
		return withCA("discovery: issuer:"+part(issuer.Issuer), namespace, issuer.CASecretRef)
	case k.JWKS != "":
		sum := sha256.Sum256([]byte(k.JWKS))
		return "inline:" + hex.EncodeToString(sum[:16])
	case k.SecretRef != nil:
		return "secret:" + refID(namespace, *k.SecretRef) + " as:" + secretForm(&issuer)
	case k.ConfigMapRef != nil:
		return "configmap:" + refID(namespace, *k.ConfigMapRef) + form(k.ConfigMapRef)
	case k.Kubernetes != nil:
		return "kubernetes"
	case k.SPIFFE != nil && k.SPIFFE.ConfigMapRef != nil:
		return "spiffe: configmap:" + refID(namespace, *k.SPIFFE.ConfigMapRef)
	case k.SPIFFE != nil:
		return withCA("spiffe:"+part(k.SPIFFE.BundleURL), namespace, issuer.CASecretRef)
	}
	return ""
}

// DecryptionID names the source of an issuer's decryption keys; empty if it has none.
func DecryptionID(namespace string, issuer policy.Issuer) string {
	if issuer.Decryption == nil {
		return ""
	}
	return "decryption:" + refID(namespace, issuer.Decryption.SecretRef) + form(&issuer.Decryption.SecretRef)
}

// NonceID names the source of what an issuer's nonces are made with; empty if its proofs need none. Without a Secret of the policy's it is one for the
// namespace, since a proof has one nonce, and all issuers that vouch for its token have to take it.
func NonceID(namespace string, issuer policy.Issuer) string {
	switch {
	case !issuer.TakesDPoP() || !issuer.Proof.WantsNonce():
		return ""
	case issuer.Proof.NonceSecretRef == nil:
		return "nonce:" + namespace
	}
	return "nonce:" + refID(namespace, *issuer.Proof.NonceSecretRef) + form(issuer.Proof.NonceSecretRef)
}

// introspectionPrefix begins the ids of IntrospectionID, and no others.
const introspectionPrefix = "introspection:"

// IntrospectionID names the source of what an issuer's introspection endpoint is shown; empty if it is not asked. The method of
// authentication belongs to it, since it says which entries are taken, as does the authority that the endpoint is known by.
func IntrospectionID(namespace string, issuer policy.Issuer) string {
	in := issuer.Introspection
	if in == nil {
		return ""
	}
	auth := in.Auth
	if auth == "" {
		auth = policy.AuthBasic
	}
	id := introspectionPrefix + strings.Join([]string{namespace, part(in.CredentialsSecretRef.Name)}, "/") + " auth:" + string(auth)
	return withCA(id, namespace, issuer.CASecretRef)
}

// IsCredential reports whether an id is one of IntrospectionID.
func IsCredential(id string) bool { return strings.HasPrefix(id, introspectionPrefix) }

// secretForm names how the text of keys.secretRef is read (keyset.ReadingOf), which for Auto depends on the issuer's algorithms. It is always
// part of the id: a set that was read in another way must not stand in for this one.
func secretForm(issuer *policy.Issuer) string {
	switch f := issuer.Keys.SecretRef.Format; {
	case f != "" && f != policy.FormatAuto:
		return string(f)
	case issuer.OnlyHMAC():
		return "KeysOrSecret"
	}
	return "Keys"
}

func form(r *policy.KeyRef) string {
	if r.Format == "" || r.Format == policy.FormatAuto {
		return ""
	}
	return " as:" + string(r.Format)
}

func withCA(id, namespace string, ca *policy.KeyRef) string {
	if ca == nil {
		return id
	}
	return id + " ca:" + refID(namespace, *ca)
}

func refID(namespace string, r policy.KeyRef) string {
	return strings.Join([]string{namespace, part(r.Name), part(r.Key)}, "/")
}

// part quotes a text that holds what parts of an id are told apart by.
func part(text string) string {
	if strings.ContainsAny(text, " \"") {
		return strconv.Quote(text)
	}
	return text
}
