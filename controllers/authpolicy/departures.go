package authpolicy

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// departures tells of pods and service accounts that are deleted, in every namespace: any pod of the cluster may be
// somebody's caller. A pod that has ended is none any more to the cache, and nothing runs in it again, so it counts, too.
// It tells of those that are about to be as well.
type departures struct {
	objects       cache.Cache
	leaving, gone func(namespace, uid string) // must not block
}

func addDepartures(mgr manager.Manager, objects cache.Cache, leaving, gone func(namespace, uid string)) error {
	return mgr.Add(&departures{objects, leaving, gone})
}

var (
	_ manager.Runnable               = (*departures)(nil)
	_ manager.LeaderElectionRunnable = (*departures)(nil)
)

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica serves sidecars.
func (*departures) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (d *departures) Start(ctx context.Context) error {
	for _, kind := range []*metav1.PartialObjectMetadata{podMetadata(), accountMetadata()} {
		informer, err := d.objects.GetInformer(ctx, kind)
		if err != nil {
			return fmt.Errorf("watch %ss: %w", kind.Kind, err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: d.seen, DeleteFunc: d.deleted, UpdateFunc: d.updated,
		}); err != nil {
			return fmt.Errorf("watch %ss: %w", kind.Kind, err)
		}
	}
	<-ctx.Done()
	return nil
}

// deleted takes an object, or what is known of one whose deletion was missed.
func (d *departures) deleted(object any) {
	if missed, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = missed.Obj
	}
	if o, ok := object.(*metav1.PartialObjectMetadata); ok {
		d.gone(o.Namespace, string(o.UID))
	}
}

// seen takes an object as it is now.
func (d *departures) seen(object any) {
	if o, ok := object.(*metav1.PartialObjectMetadata); ok && o.DeletionTimestamp != nil {
		d.leaving(o.Namespace, string(o.UID))
	}
}

// updated takes an object that has changed, or was deleted and made again while nobody watched.
func (d *departures) updated(old, now any) {
	d.seen(now)
	before, ok := old.(*metav1.PartialObjectMetadata)
	after, also := now.(*metav1.PartialObjectMetadata)
	if ok && also && before.UID != after.UID {
		d.deleted(before)
	}
}
