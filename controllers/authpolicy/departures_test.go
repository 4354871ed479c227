package authpolicy

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
)

func TestDepartures(t *testing.T) {
	t.Parallel()
	object := func(uid types.UID) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a", UID: uid}}
	}
	ending := func(uid types.UID) *metav1.PartialObjectMetadata {
		o := object(uid)
		o.DeletionTimestamp = new(metav1.Now())
		return o
	}
	var gone, leaving []string
	d := &departures{
		gone:    func(namespace, uid string) { gone = append(gone, namespace+"/"+uid) },
		leaving: func(namespace, uid string) { leaving = append(leaving, namespace+"/"+uid) },
	}
	d.deleted(object("1"))
	d.deleted(toolscache.DeletedFinalStateUnknown{Key: "shop/a", Obj: object("2")})
	d.deleted(toolscache.DeletedFinalStateUnknown{Key: "shop/a"})
	d.updated(object("3"), object("3"))
	d.updated(object("4"), object("5"))
	d.updated(object("6"), ending("6"))
	d.seen(ending("7"))
	d.seen(object("8"))
	if want := []string{"shop/6", "shop/7"}; !slices.Equal(leaving, want) {
		t.Errorf("leaving: %v, want %v", leaving, want)
	}
	if want := []string{"shop/1", "shop/2", "shop/4"}; !slices.Equal(gone, want) {
		t.Errorf("gone: %v, want %v", gone, want)
	}
}
