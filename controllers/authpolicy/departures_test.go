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
	var gone []string
	d := &departures{gone: func(namespace, uid string) { gone = append(gone, namespace+"/"+uid) }}
	d.deleted(object("1"))
	d.deleted(toolscache.DeletedFinalStateUnknown{Key: "shop/a", Obj: object("2")})
	d.deleted(toolscache.DeletedFinalStateUnknown{Key: "shop/a"})
	d.replaced(object("3"), object("3"))
	d.replaced(object("4"), object("5"))
	if want := []string{"shop/1", "shop/2", "shop/4"}; !slices.Equal(gone, want) {
		t.Errorf("gone: %v, want %v", gone, want)
	}
}
