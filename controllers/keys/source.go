package keys

import (
	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// Source is one place that keys come from.
type Source struct {
	// ID is bundle.SourceID, bundle.DecryptionID, bundle.NonceID or bundle.IntrospectionID.
	ID        string
	Namespace string
	// Issuer is the issuer as the policy has it, for discovery.
	Issuer string
	// Keys is the source of verification keys; not used if Decryption is given.
	Keys policy.KeySource
	// Reading is how the keys are read.
	Reading keyset.Reading
	// CA is what fetches trust; nil: the system's.
	CA *policy.KeyRef
	// Decryption is the Secret with decryption keys, or with what nonces are made with.
	Decryption *policy.KeyRef
	// Introspection has the Secret with what an introspection endpoint is shown; nothing else is used then but CA.
	Introspection *policy.Introspection
	// Nonces says that nonces are made with a secret that the controller derives for the namespace; nothing else is used then.
	Nonces bool

	root object // what Nonces derives from; the Resolver's to say
}

// SourcesOf returns the sources that a policy names, each once.
func SourcesOf(namespace string, spec policy.Spec) []Source {
	var out []Source
	seen := map[string]bool{"": true}
	for _, i := range spec.Issuers {
		if id := bundle.SourceID(namespace, i); !seen[id] {
			seen[id] = true
			out = append(out, Source{ID: id, Namespace: namespace, Issuer: i.Issuer, Keys: i.Keys, Reading: keyset.ReadingOf(&i), CA: i.CASecretRef})
		}
		if id := bundle.DecryptionID(namespace, i); !seen[id] {
			seen[id] = true
			ref := i.Decryption.SecretRef
			out = append(out, Source{ID: id, Namespace: namespace, Decryption: &ref, Reading: keyset.DecryptionReading(ref)})
		}
		if id := bundle.NonceID(namespace, i); !seen[id] {
			seen[id] = true
			out = append(out, nonceSource(id, namespace, i.Proof.NonceSecretRef))
		}
		if id := bundle.IntrospectionID(namespace, i); !seen[id] {
			seen[id] = true
			out = append(out, Source{ID: id, Namespace: namespace, Introspection: i.Introspection, CA: i.CASecretRef})
		}
	}
	return out
}

// kind is the label of a source in metrics.
func (s Source) kind() string {
	switch {
	case s.Nonces:
		return "nonces"
	case s.Introspection != nil:
		return "credential"
	case s.Decryption != nil, s.Keys.SecretRef != nil:
		return "secret"
	case s.Keys.SPIFFE != nil:
		return "spiffe"
	case s.Keys.ConfigMapRef != nil:
		return "configmap"
	case s.Keys.Kubernetes != nil:
		return "kubernetes"
	case s.Keys.Discovery != nil:
		return "discovery"
	case s.Keys.JWKSURL != "":
		return "url"
	}
	return "inline"
}

// object is a Secret or ConfigMap.
type object struct {
	kind            objectKind
	namespace, name string
}

type objectKind string

const (
	secret    objectKind = "Secret"
	configMap objectKind = "ConfigMap"
)

// holder returns the object that holds the keys themselves, or the credential, if one does. Of a credential there is no one key.
func (s Source) holder() (object, string, bool) {
	switch {
	case s.Nonces:
		return s.root, rootEntry, true
	case s.Introspection != nil:
		return object{secret, s.Namespace, s.Introspection.CredentialsSecretRef.Name}, "", true
	case s.Decryption != nil:
		return object{secret, s.Namespace, s.Decryption.Name}, s.Decryption.Key, true
	case s.Keys.SecretRef != nil:
		return object{secret, s.Namespace, s.Keys.SecretRef.Name}, s.Keys.SecretRef.Key, true
	}
	if ref := s.Keys.ConfigMap(); ref != nil {
		return object{configMap, s.Namespace, ref.Name}, ref.Key, true
	}
	return object{}, "", false
}

// authority returns the Secret with the CA for fetches, or for an introspection endpoint, if one is named.
func (s Source) authority() (object, string, bool) {
	if s.CA == nil || s.Introspection == nil && (!s.fetched() || s.Keys.Kubernetes != nil) {
		return object{}, "", false
	}
	return object{secret, s.Namespace, s.CA.Name}, s.CA.Key, true
}

// fetched reports whether the keys come over HTTP.
func (s Source) fetched() bool {
	return !s.Nonces && s.Decryption == nil && s.Introspection == nil && (s.Keys.URL() != "" || s.Keys.Discovery != nil || s.Keys.Kubernetes != nil)
}

// cluster stands for the cluster's own issuer among the sources of a Poller; no policy can name it.
func cluster() fetch.Source { return fetch.Source{JWKSURL: "kubernetes"} }

// address returns where the keys are fetched from.
func (s Source) address(ca string) fetch.Source {
	switch {
	case s.Keys.Kubernetes != nil:
		return cluster()
	case s.Keys.URL() != "":
		return fetch.Source{JWKSURL: s.Keys.URL(), SPIFFE: s.Keys.SPIFFE != nil, CA: ca}
	}
	return fetch.Source{Issuer: s.Issuer, MetadataURL: s.Keys.Discovery.URL, CA: ca}
}

// kindOf is the label in metrics of what is fetched.
func kindOf(s fetch.Source) string {
	switch {
	case s == cluster():
		return "kubernetes"
	case s.SPIFFE:
		return "spiffe"
	case s.JWKSURL != "":
		return "url"
	}
	return "discovery"
}
