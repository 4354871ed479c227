package revstore

import (
	"crypto/rand"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// newChunk makes an object that its source owns. Its name is random, so that a create whose answer was lost can be done again.
func newChunk(s Source, entries revoked.List, at time.Time) *v1alpha1.RevocationChunk {
	c := &v1alpha1.RevocationChunk{ObjectMeta: metav1.ObjectMeta{
		Namespace: s.Namespace, Name: "revoked-" + strings.ToLower(rand.Text()),
		Labels: map[string]string{"app.kubernetes.io/managed-by": "bearerguard"},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: sourceKind, Name: s.Name, UID: types.UID(s.UID),
		}},
	}}
	c.Spec.Source = s.Name
	fill(c, entries, at)
	return c
}

// fill sets what a chunk says.
func fill(c *v1alpha1.RevocationChunk, entries revoked.List, at time.Time) {
	c.Spec.Entries = entries.Bytes()
	c.Spec.LastEvent = nil
	if !at.IsZero() {
		c.Spec.LastEvent = &metav1.MicroTime{Time: at}
	}
}
