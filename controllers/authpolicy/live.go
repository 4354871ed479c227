package authpolicy

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/controllers/push"
)

// liveWait is how long a caller waits for the cache to be filled.
const liveWait = time.Second

// Live says which pods and service accounts are there, by the cache. The zero value is what Options take; it knows nobody before
// Setup. It is safe for concurrent use.
type Live struct {
	mu     sync.Mutex
	reader client.Reader // guarded by mu
}

var _ push.Live = (*Live)(nil)

// Lives implements push.Live.
func (l *Live) Lives(ctx context.Context, namespace string, pod, account push.Named) bool {
	l.mu.Lock()
	reader := l.reader
	l.mu.Unlock()
	if reader == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, liveWait)
	defer cancel()
	is := func(o *metav1.PartialObjectMetadata, want push.Named) bool {
		err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: want.Name}, o)
		return err == nil && string(o.UID) == want.UID && o.DeletionTimestamp.IsZero()
	}
	return is(podMetadata(), pod) && is(accountMetadata(), account)
}
