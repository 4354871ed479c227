package keys

import (
	"context"
	"crypto/rand"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

// NonceSecret is the name of the Secret of the controller's namespace that the nonces of all namespaces derive from, where policies name no Secret of
// their own. The replica that first finds none makes one, and the others take it; one that is deleted is made anew.
const NonceSecret = "bearerguard-nonces"

// rootEntry is the entry of that Secret.
const rootEntry = "root"

// Creator creates objects; a client.Client is one.
type Creator interface {
	Create(context.Context, client.Object, ...client.CreateOption) error
}

// nonceSource returns the source of what nonces of a namespace are made with; ref is the policy's own Secret, or nil.
func nonceSource(id, namespace string, ref *policy.KeyRef) Source {
	if ref == nil {
		return Source{ID: id, Namespace: namespace, Nonces: true, Reading: keyset.Reading{Use: keyset.Verify, Format: policy.FormatJWKS}}
	}
	own := *ref
	return Source{ID: id, Namespace: namespace, Decryption: &own, Reading: keyset.NonceReading(own)}
}

// makes reports whether an object is made where it is missing.
func (r *Resolver) makes(o object) bool {
	return r.options.Creator != nil && o == object{secret, r.options.Namespace, NonceSecret}
}

// makeRoot makes the Secret that nonces derive from. Where another replica was faster, it returns what that has made: of two that are created under one name, the
// API server takes one.
func (r *Resolver) makeRoot(ctx context.Context, o object) (map[string][]byte, string, error) {
	root := make([]byte, keyset.MinNonceRoot)
	_, _ = rand.Read(root) // it never fails
	made := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: o.name, Labels: map[string]string{"app.kubernetes.io/managed-by": "bearerguard"}},
		Data:       map[string][]byte{rootEntry: root},
	}
	err := r.options.Creator.Create(ctx, made)
	if apierrors.IsAlreadyExists(err) {
		return r.getObject(ctx, o, &client.GetOptions{}) // not from the API server's cache, which did not have it
	}
	return made.Data, made.ResourceVersion, err
}
