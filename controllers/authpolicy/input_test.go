package authpolicy

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/credential"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/status"
)

func TestWhatIsSaidOfAnIssuersKeys(t *testing.T) {
	t.Parallel()
	ref := policy.KeyRef{Name: "corp", Key: "k"}
	rsa := policy.Issuer{Name: "corp", Keys: policy.KeySource{SecretRef: &ref}, Algorithms: []policy.Algorithm{"RS256"}}
	both := rsa
	both.Decryption = &policy.Decryption{SecretRef: ref}
	const id, decryption = "secret:shop/corp/k as:Keys", "decryption:shop/corp/k"
	good := keys.State{Keys: 2, Algorithms: []string{"RS256", "RS384"}}
	asked := func(url string) policy.Issuer {
		return policy.Issuer{Name: "corp", Introspection: &policy.Introspection{URL: url, CredentialsSecretRef: policy.SecretRef{Name: "s"}}}
	}
	const shown = "introspection:shop/s auth:Basic"
	credentialOf := func(c credential.Credential) keys.State {
		return keys.State{Keys: 1, Set: bundle.KeySet{JWKS: c.Encode()}}
	}
	nonced := asked("https://corp/i")
	nonced.Proof = &policy.Proof{DPoP: policy.BindingIfBound, NonceSecretRef: &ref}
	made := asked("https://corp/i")
	made.Proof = &policy.Proof{DPoP: policy.BindingIfBound, Nonce: policy.NonceRequired}
	tests := map[string]struct {
		issuer policy.Issuer
		states map[string]keys.State
		want   status.Issuer
	}{
		"keys that fit": {rsa, map[string]keys.State{id: good}, status.Issuer{Name: "corp", Keys: 2}},
		"keys that are left out": {rsa, map[string]keys.State{id: {Keys: 1, Algorithms: good.Algorithms, Notes: []string{"left out: a", "left out: b"}}},
			status.Issuer{Name: "corp", Keys: 1, Note: "left out: a; left out: b"}},
		"no key that fits": {rsa, map[string]keys.State{id: {Keys: 1, Algorithms: []string{"ES256"}}},
			status.Issuer{Name: "corp", Failure: "the source holds no key for the issuer's algorithms (RS256); its keys fit ES256"}},
		"a source that fails": {rsa, map[string]keys.State{id: {Keys: 2, Algorithms: good.Algorithms, Err: errors.New("is garbled")}},
			status.Issuer{Name: "corp", Keys: 2, Failure: "is garbled"}},
		"notes of both sources": {both, map[string]keys.State{id: {Keys: 1, Algorithms: good.Algorithms, Notes: []string{"a"}}, decryption: {Keys: 1, Notes: []string{"b", "c"}}},
			status.Issuer{Name: "corp", Keys: 1, Note: "a; decryption: b; c"}},
		"a note to decrypt": {both, map[string]keys.State{id: good, decryption: {Keys: 1, Notes: []string{"b"}}},
			status.Issuer{Name: "corp", Keys: 2, Note: "decryption: b"}},
		"an issuer that is asked": {asked("https://corp/i"), map[string]keys.State{shown: credentialOf(credential.Credential{ClientID: "x"})},
			status.Issuer{Name: "corp", Keys: 1}},
		"one that is asked over plain http": {asked("http://corp/i"), map[string]keys.State{shown: credentialOf(credential.Credential{ClientID: "x"})},
			status.Issuer{Name: "corp", Failure: "introspection.url: scheme is http; want https, or the operator's leave to use http"}},
		"one that is, with the operator's leave": {asked("http://corp/i"),
			map[string]keys.State{shown: credentialOf(credential.Credential{ClientID: "x", Rules: credential.Rules{AllowHTTP: true}})}, status.Issuer{Name: "corp", Keys: 1}},
		"one whose nonce Secret is missing": {nonced, map[string]keys.State{shown: credentialOf(credential.Credential{ClientID: "x"}), bundle.NonceID("shop", nonced): {Err: errors.New("is missing")}},
			status.Issuer{Name: "corp", Keys: 1, Failure: "proof.nonceSecretRef: is missing"}},
		"one whose nonces have no root": {made, map[string]keys.State{shown: credentialOf(credential.Credential{ClientID: "x"}), "nonce:shop": {Err: errors.New("is missing")}},
			status.Issuer{Name: "corp", Keys: 1, Failure: "proof.nonce: is missing"}},
		"one without a credential yet": {asked("http://corp/i"), map[string]keys.State{shown: {Err: errors.New("is missing")}},
			status.Issuer{Name: "corp", Failure: "introspection.credentialsSecretRef: is missing"}},
	}
	for name, tc := range tests {
		if diff := cmp.Diff(tc.want, issuerOf("shop", tc.issuer, tc.states)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestPodsWithoutKeys(t *testing.T) {
	t.Parallel()
	issuer := policy.Issuer{Name: "corp", Keys: policy.KeySource{SecretRef: &policy.KeyRef{Name: "corp", Key: "k"}}}
	const id = "secret:shop/corp/k as:Keys"
	o := compile.Outcome{Policy: &compile.Policy{Namespace: "shop"}, Selected: []*compile.Group{
		{Workloads: []compile.Workload{{Name: "d", UID: "d"}, {Name: "c", UID: "c"}, {Name: "b", UID: "b"}}},
		{Workloads: []compile.Workload{{Name: "a", UID: "a"}, {Name: "e", UID: "e"}}},
	}}
	got := without(o, issuer, map[string]push.Sidecar{
		"a": {Lacking: "other\n" + id}, "b": {Lacking: "other"}, "c": {Lacking: id}, "d": {Lacking: id, Lost: time.Now()},
	})
	if diff := cmp.Diff([]string{"a", "c"}, got); diff != "" {
		t.Error(diff)
	}
}
