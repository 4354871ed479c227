// Package gatetest makes tokens and snapshots for tests. It is not part of any binary.
package gatetest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
)

// Issuer signs tokens with a key that follows from its name.
type Issuer struct {
	// URL is the tokens' iss, KeyID their kid.
	URL, KeyID string
	key        ed25519.PrivateKey
}

// NewIssuer returns the issuer of this URL with a key of this id. The same arguments give the same key.
func NewIssuer(url, keyID string) *Issuer {
	seed := sha256.Sum256([]byte(url + "\x00" + keyID))
	return &Issuer{URL: url, KeyID: keyID, key: ed25519.NewKeyFromSeed(seed[:])}
}

// Rekey returns the issuer with another key of the same id. The same argument gives the same key.
func Rekey(i *Issuer) *Issuer {
	seed := sha256.Sum256(i.key.Seed())
	return &Issuer{URL: i.URL, KeyID: i.KeyID, key: ed25519.NewKeyFromSeed(seed[:])}
}

// JWKS is the issuer's public key as a JWK Set.
func (i *Issuer) JWKS() string {
	x := base64.RawURLEncoding.EncodeToString(i.key.Public().(ed25519.PublicKey))
	return `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"` + i.KeyID + `","x":"` + x + `"}]}`
}

// Policy is an issuer entry of a policy that trusts this issuer with an inline key set, for the audience "orders".
func (i *Issuer) Policy(name string) policy.Issuer {
	return policy.Issuer{
		Name: name, Issuer: i.URL, Audiences: []string{"orders"}, Keys: policy.KeySource{JWKS: i.JWKS()},
	}
}

// Token returns a token that is valid for an hour from now and for the audience "orders"; claims are added and replace
// what is there, nil values remove.
func (i *Issuer) Token(now time.Time, claims map[string]any) string {
	all := map[string]any{"iss": i.URL, "aud": "orders", "sub": "alice", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return i.sign("JWT", all)
}

// Answer returns a signed answer (RFC 9701) to who asked about a token as clientID; claims are what it says of the token.
func (i *Issuer) Answer(now time.Time, clientID string, claims map[string]any) string {
	return i.sign("token-introspection+jwt", map[string]any{"iss": i.URL, "aud": clientID, "iat": now.Unix(), "token_introspection": claims})
}

func (i *Issuer) sign(typ string, claims map[string]any) string {
	input := encode(map[string]any{"alg": "EdDSA", "kid": i.KeyID, "typ": typ}) + "." + encode(claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.key, []byte(input)))
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a mistake in the test
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// Snapshot compiles policies, whose inline key sets are resolved.
func Snapshot(t testing.TB, now func() time.Time, policies ...bundle.Object) *gate.Snapshot {
	t.Helper()
	s, err := gate.NewSnapshot(Bundle(t, policies...), "test", gate.SnapshotOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Bundle assembles policies, whose inline key sets are resolved.
func Bundle(t testing.TB, policies ...bundle.Object) *bundle.Bundle {
	t.Helper()
	keys := map[string]bundle.KeySet{}
	for _, p := range policies {
		for _, is := range p.Spec.Issuers {
			if is.Keys.JWKS == "" {
				continue
			}
			set, err := keyset.Parse([]byte(is.Keys.JWKS), keyset.Public)
			if err != nil {
				t.Fatal(err)
			}
			keys[bundle.SourceID(p.Namespace, is)] = bundle.KeySet{JWKS: set.Canonical()}
		}
	}
	return bundle.Assemble(policies, keys)
}

// Fetched compiles a policy whose issuers fetch their keys, which are those of this issuer now.
func Fetched(t testing.TB, spec policy.Spec, i *Issuer) *gate.Snapshot {
	t.Helper()
	set, err := keyset.Parse([]byte(i.JWKS()), keyset.Public)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bundle.KeySet{}
	spec.Issuers = slices.Clone(spec.Issuers)
	for n := range spec.Issuers {
		spec.Issuers[n].Keys = policy.KeySource{JWKSURL: i.URL + "/jwks"}
		keys[bundle.SourceID("shop", spec.Issuers[n])] = bundle.KeySet{JWKS: set.Canonical()}
	}
	s, err := gate.NewSnapshot(bundle.Assemble([]bundle.Object{Policy("fetched", spec)}, keys), "test", gate.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Policy names a spec.
func Policy(name string, spec policy.Spec) bundle.Object {
	return bundle.Object{Namespace: "shop", Name: name, Spec: spec}
}
