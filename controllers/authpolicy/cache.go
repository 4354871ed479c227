package authpolicy

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// pod is the kind that is watched as metadata.
func podMetadata() *metav1.PartialObjectMetadata {
	p := &metav1.PartialObjectMetadata{}
	p.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Pod"})
	return p
}

// accountMetadata is the kind that service accounts are watched as.
func accountMetadata() *metav1.PartialObjectMetadata {
	a := &metav1.PartialObjectMetadata{}
	a.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "ServiceAccount"})
	return a
}

// namespaceMetadata is the kind that namespaces are watched as.
func namespaceMetadata() *metav1.PartialObjectMetadata {
	n := &metav1.PartialObjectMetadata{}
	n.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"})
	return n
}

func podMetadataList() *metav1.PartialObjectMetadataList {
	l := &metav1.PartialObjectMetadataList{}
	l.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "PodList"})
	return l
}

// newCache returns a cache of policies, revocations and live pods. What it hands out is shared and not to be changed.
func newCache(config *rest.Config, o cache.Options) (cache.Cache, error) {
	shared := true
	live := fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", "Succeeded"),
		fields.OneTermNotEqualSelector("status.phase", "Failed"),
	)
	o.Scheme = scheme()
	o.ReaderFailOnMissingInformer = true
	o.DefaultUnsafeDisableDeepCopy = &shared
	o.DefaultTransform = cache.TransformStripManagedFields()
	o.ByObject = map[client.Object]cache.ByObject{
		podMetadata(): {Field: live, Transform: slim}, accountMetadata(): {Transform: slim}, namespaceMetadata(): {Transform: slim},
		&revocationObject{}: {Transform: brief},
	}
	return cache.New(config, o)
}

// slim keeps of metadata what is needed.
func slim(in any) (any, error) {
	p, ok := in.(*metav1.PartialObjectMetadata)
	if !ok {
		return in, nil
	}
	kept := metav1.ObjectMeta{
		Name: p.Name, Namespace: p.Namespace, UID: p.UID, ResourceVersion: p.ResourceVersion, Labels: p.Labels,
		CreationTimestamp: p.CreationTimestamp, DeletionTimestamp: p.DeletionTimestamp,
	}
	if release, ok := p.Annotations[v1alpha1.AnnotationInjected]; ok {
		kept.Annotations = map[string]string{v1alpha1.AnnotationInjected: release}
	}
	return &metav1.PartialObjectMetadata{TypeMeta: p.TypeMeta, ObjectMeta: kept}, nil
}

// brief drops what kubectl apply notes in a revocation's annotations: all of its texts once more.
func brief(in any) (any, error) {
	if o, ok := in.(*revocationObject); ok {
		o.Annotations, o.ManagedFields = nil, nil
	}
	return in, nil
}

// injected reports whether a pod was given a sidecar.
func injected(p *metav1.PartialObjectMetadata) bool {
	_, annotated := p.Annotations[v1alpha1.AnnotationInjected]
	return annotated || p.Labels[v1alpha1.LabelInjected] == "true"
}

// moved reports whether an update of a pod can change what it gets.
func moved(old, now *metav1.PartialObjectMetadata) bool {
	return old.UID != now.UID || injected(old) != injected(now) || !maps.Equal(old.Labels, now.Labels)
}
