package keys_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/keys"
)

// Create creates a Secret, as the API server does: once.
func (o *objects) Create(_ context.Context, made client.Object, _ ...client.CreateOption) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := client.ObjectKeyFromObject(made).String()
	if o.secrets[at] != nil {
		return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "secrets"}, at)
	}
	o.secrets[at] = made.(*corev1.Secret).Data
	return nil
}

// nonced is an issuer whose proofs need nonces.
func nonced() policy.Issuer {
	return policy.Issuer{Name: "corp", Keys: policy.KeySource{JWKS: jwks("a")}, Proof: &policy.Proof{
		DPoP: policy.BindingRequired, PublicURLs: []string{"https://a.example"}, Nonce: policy.NonceRequired,
	}}
}

// nonces waits for what the nonces of a namespace are made with, and that is not old.
func (b *bench) nonces(t *testing.T, namespace, old string) string {
	t.Helper()
	return string(b.until(t, namespace, bundle.NonceID(namespace, nonced()), "nonces", func(s keys.State) bool {
		return s.Keys == 1 && string(s.Set.JWKS) != old
	}).Set.JWKS)
}

func TestNoncesDeriveFromOneSecret(t *testing.T) {
	t.Parallel()
	one := start(t)
	roots := func() (n int) {
		one.objects.change(func() {
			for name := range maps.Keys(one.objects.secrets) {
				if strings.HasSuffix(name, "/"+keys.NonceSecret) {
					n++
				}
			}
		})
		return n
	}
	one.want("shop", secretIssuer())
	if roots() != 0 {
		t.Error("there is a root though nobody wants nonces")
	}
	one.want("shop", nonced())
	one.want("bank", nonced())
	shop, bank := one.nonces(t, "shop", ""), one.nonces(t, "bank", "")
	if shop == bank || roots() != 1 {
		t.Fatalf("two namespaces have the same, or there are %d roots", roots())
	}

	other := startOn(t, one.objects) // another replica, or the same after a restart
	other.want("shop", nonced())
	if got := other.nonces(t, "shop", ""); got != shop {
		t.Error("two replicas disagree")
	}

	one.objects.change(func() { one.objects.secrets[system+"/"+keys.NonceSecret] = map[string][]byte{"root": []byte("short")} })
	garbled := one.until(t, "shop", bundle.NonceID("shop", nonced()), "garbled", func(s keys.State) bool { return s.Err != nil })
	if want := `Secret bearerguard-nonces: entry "root" has 5 bytes; want at least 32 at random`; garbled.Err.Error() != want || string(garbled.Set.JWKS) != shop {
		t.Errorf("a garbled root: %v", garbled.Err)
	}

	one.objects.change(func() { delete(one.objects.secrets, system+"/"+keys.NonceSecret) })
	rotated := one.nonces(t, "shop", shop)
	if got := other.nonces(t, "shop", shop); got != rotated {
		t.Error("after a rotation two replicas disagree")
	}
	if one.nonces(t, "bank", bank) == rotated || roots() != 1 {
		t.Error("after a rotation two namespaces have the same")
	}
}

// Whoever may write policies beside the controller gets none of its own Secrets to a pod.
func TestNoPolicyNamesTheControllersOwnSecrets(t *testing.T) {
	t.Parallel()
	one := start(t)
	one.want("shop", nonced())
	one.nonces(t, "shop", "") // there is a root
	is := secretIssuer()
	is.Algorithms = []policy.Algorithm{"HS256"}
	is.Keys.SecretRef = &policy.KeyRef{Name: keys.NonceSecret, Key: "root", Format: policy.FormatHMAC}
	one.want(system, is)
	got := one.until(t, system, bundle.SourceID(system, is), "refused", func(s keys.State) bool { return s.Err != nil })
	if got.Err.Error() != "Secret bearerguard-nonces is the controller's own; want another" || got.Keys != 0 {
		t.Errorf("%d keys, %v", got.Keys, got.Err)
	}
}

// A policy's own Secret needs no root.
func TestNoncesOfAPolicysOwnSecret(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.objects.change(func() { b.objects.secrets["shop/own"] = map[string][]byte{"k": []byte(strings.Repeat("n", 32))} })
	own := nonced()
	own.Proof.NonceSecretRef = &policy.KeyRef{Name: "own", Key: "k"}
	b.want("shop", own)
	b.until(t, "shop", bundle.NonceID("shop", own), "the Secret", func(s keys.State) bool { return s.Keys == 1 })
	b.objects.change(func() {
		if len(b.objects.secrets) != 1 {
			t.Error("there is a root though nobody wants one")
		}
	})
}
