package inplace

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// LeaseName is the Lease that keeps two upgrades of a namespace apart.
const LeaseName = "bearerguard-upgrade-sidecars"

// leaseTime is how long a Lease holds without being renewed, which it is three times as often.
const leaseTime = time.Minute

// errHeld is that another upgrade runs.
var errHeld = errors.New("another upgrade of this namespace runs")

// Lease is held while an upgrade runs. Take takes it.
type Lease struct {
	client client.Client
	name   client.ObjectKey
	holder string
	stop   context.CancelFunc
	ended  chan struct{}
}

// Take takes the Lease of a namespace for a holder, or says who has it. The context that it returns ends when the Lease is lost.
func Take(ctx context.Context, c client.Client, namespace, holder string) (context.Context, *Lease, error) {
	l := &Lease{client: c, name: client.ObjectKey{Namespace: namespace, Name: LeaseName}, holder: holder, ended: make(chan struct{})}
	if err := l.renew(ctx); err != nil {
		return ctx, nil, err
	}
	held, lost := context.WithCancel(ctx)
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go func() {
		defer close(l.ended)
		defer lost()
		l.keep(renewing)
	}()
	return held, l, nil
}

// keep renews the Lease until ctx is done or it is lost.
func (l *Lease) keep(ctx context.Context) {
	last := time.Now()
	for {
		pause(ctx, leaseTime/3)
		if ctx.Err() != nil {
			return
		}
		switch err := l.renew(ctx); {
		case err == nil:
			last = time.Now()
		case errors.Is(err, errHeld) || time.Since(last) > leaseTime:
			return
		}
	}
}

// Release gives the Lease back.
func (l *Lease) Release() {
	l.stop()
	<-l.ended
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var lease coordinationv1.Lease
	if l.client.Get(ctx, l.name, &lease) == nil && holderOf(&lease) == l.holder {
		lease.Spec.HolderIdentity = new("")
		_ = l.client.Update(ctx, &lease) // else it is over by itself
	}
}

// renew takes the Lease, or keeps it.
func (l *Lease) renew(ctx context.Context) error {
	var lease coordinationv1.Lease
	err := l.client.Get(ctx, l.name, &lease)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read lease %s: %w", LeaseName, err)
	}
	now := metav1.NowMicro()
	if by := holderOf(&lease); by != "" && by != l.holder && lease.Spec.RenewTime != nil && now.Sub(lease.Spec.RenewTime.Time) < leaseTime {
		return fmt.Errorf("%w, by %s; wait until it is done (if it was killed, a minute)", errHeld, by)
	}
	lease.Namespace, lease.Name = l.name.Namespace, l.name.Name
	lease.Spec.HolderIdentity, lease.Spec.RenewTime, lease.Spec.LeaseDurationSeconds = &l.holder, &now, new(int32(leaseTime/time.Second))
	if err == nil {
		err = l.client.Update(ctx, &lease)
	} else {
		err = l.client.Create(ctx, &lease)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%w: it has begun at the same moment", errHeld)
	}
	if err != nil {
		return fmt.Errorf("write lease %s, which keeps two upgrades apart: %w", LeaseName, err)
	}
	return nil
}

func holderOf(l *coordinationv1.Lease) string {
	if l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}
