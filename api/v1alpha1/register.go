package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is bearerguard.dev/v1alpha1.
var GroupVersion = schema.GroupVersion{Group: "bearerguard.dev", Version: "v1alpha1"}

// AddToScheme registers the objects of this package with s.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &AuthPolicy{}, &AuthPolicyList{}, &TokenRevocation{}, &TokenRevocationList{},
		&RevocationSource{}, &RevocationSourceList{}, &RevocationChunk{}, &RevocationChunkList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
