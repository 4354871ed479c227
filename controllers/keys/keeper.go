package keys

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// keepEvery is how often at most the Secrets are written.
	keepEvery = 10 * time.Second
	// recallEvery is how often a replica that lacks keys looks at them.
	recallEvery = 10 * time.Second
	// confirmEvery is how often the time of an unchanged key set is written.
	confirmEvery = time.Hour
	// settling is how long after its start a Keeper drops nothing: what nobody wants yet may be wanted by policies that
	// have not been read.
	settling = 5 * time.Minute
)

// A Keeper writes the last good keys of what is fetched into Secrets, for replicas that start while a key server is down. Run
// it on the replica that leads.
type Keeper struct {
	Resolver *Resolver
	// Client reads and writes Secrets, without a cache.
	Client client.Client
	// Namespace is the controller's.
	Namespace string
	Log       logr.Logger

	last [sharedSecrets]string // what went wrong with each
}

// Run keeps until ctx is done.
func (k *Keeper) Run(ctx context.Context) error {
	began := time.Now()
	for wait(ctx, keepEvery) {
		k.keep(ctx, time.Since(began) > settling)
	}
	return nil
}

// keep brings the Secrets up to date; final says that what nobody wants is to go.
func (k *Keeper) keep(ctx context.Context, final bool) {
	var want [sharedSecrets]map[string]shared
	for i := range want {
		want[i] = map[string]shared{}
	}
	for id, s := range k.Resolver.toShare() {
		want[placeOf(id)][id] = s
	}
	for i, sets := range want {
		cause := ""
		if err := k.keepOne(ctx, i, sets, final); err != nil {
			cause = err.Error()
		}
		if cause != k.last[i] && cause != "" && ctx.Err() == nil {
			k.Log.Info("cannot share keys with other replicas", "secret", SharedSecret(i), "cause", cause)
		}
		k.last[i] = cause
	}
}

// keepOne brings one Secret up to date.
func (k *Keeper) keepOne(ctx context.Context, i int, want map[string]shared, final bool) error {
	var secret corev1.Secret
	err := k.Client.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: SharedSecret(i)}, &secret)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	have := map[string]shared{}
	sets, broken := unpack(secret.Data[sharedEntry])
	for _, s := range sets {
		have[s.ID] = s
	}
	if !final {
		for id, s := range have {
			if _, ok := want[id]; !ok {
				want[id] = s
			}
		}
	}
	if broken == nil && same(have, want) {
		return nil
	}
	packed, left, err := pack(slices.Collect(maps.Values(want)))
	if err != nil {
		return err
	}
	if len(left) > 0 {
		err = fmt.Errorf("%d key sets, the largest, have no room and are not shared", len(left))
	}
	if bytes.Equal(packed, secret.Data[sharedEntry]) {
		return err
	}
	if failed := k.write(ctx, &secret, i, packed); failed != nil {
		return failed
	}
	return err
}

// write writes one Secret if nobody else has done so since it was read.
func (k *Keeper) write(ctx context.Context, secret *corev1.Secret, i int, packed []byte) error {
	secret.Data = map[string][]byte{sharedEntry: packed}
	if secret.ResourceVersion != "" {
		return k.Client.Update(ctx, secret)
	}
	secret.ObjectMeta = metav1.ObjectMeta{
		Namespace: k.Namespace, Name: SharedSecret(i), Labels: map[string]string{"app.kubernetes.io/managed-by": "bearerguard"},
	}
	return k.Client.Create(ctx, secret)
}

// same reports whether a Secret need not be written: it has these key sets, and their times are not far off.
func same(have, want map[string]shared) bool {
	return maps.EqualFunc(have, want, func(a, b shared) bool {
		return bytes.Equal(a.JWKS, b.JWKS) && b.Fetched.Sub(a.Fetched) < confirmEvery
	})
}
