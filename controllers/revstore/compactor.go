package revstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// compactEvery is how often chunks are looked at.
const compactEvery = 10 * time.Second

// Compactor merges the chunks of sources. Run it on the replica that leads.
type Compactor struct {
	// Reader lists Objects, from a cache.
	Reader client.Reader
	// Client writes, without a cache.
	Client client.Client
	// Owns says which namespaces are this release's. Default: all.
	Owns func(ctx context.Context, namespace string) (bool, error)
	Log  logr.Logger
}

// Run compacts until ctx is done.
func (c *Compactor) Run(ctx context.Context) error {
	tick := time.NewTicker(compactEvery)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		cause := ""
		if err := c.compact(ctx, time.Now()); err != nil {
			cause = err.Error()
		}
		if cause != "" && cause != last && ctx.Err() == nil {
			c.Log.Info("cannot merge chunks of revocations; nothing is lost", "cause", cause)
		}
		last = cause
	}
}

// compact merges what there is to merge now.
func (c *Compactor) compact(ctx context.Context, now time.Time) error {
	var all Objects
	if err := c.Reader.List(ctx, &all); err != nil {
		return fmt.Errorf("list chunks: %w", err)
	}
	of := map[Source][]*Object{}
	for i := range all.Items {
		o := &all.Items[i]
		s := Source{o.Namespace, o.Spec.Source, o.Owner()}
		of[s] = append(of[s], o)
	}
	var errs []error
	for s, chunks := range of {
		if ours, err := c.owns(ctx, s.Namespace); err != nil || !ours || s.UID == "" {
			continue
		}
		for _, m := range plan(chunks, now) {
			errs = append(errs, c.merge(ctx, s, m))
		}
	}
	return errors.Join(errs...)
}

func (c *Compactor) owns(ctx context.Context, namespace string) (bool, error) {
	if c.Owns == nil {
		return true, nil
	}
	return c.Owns(ctx, namespace)
}

// merge makes the new chunk first. One that has changed since it was read stays, and what is in both is there twice for a while.
func (c *Compactor) merge(ctx context.Context, s Source, m merger) error {
	ctx, cancel := context.WithTimeout(ctx, 2*writeTimeout)
	defer cancel()
	if len(m.into) > 0 {
		if err := c.Client.Create(ctx, newChunk(s, m.into, m.last)); err != nil {
			return fmt.Errorf("merge chunks of %s/%s: %w", s.Namespace, s.Name, err)
		}
	}
	var errs []error
	for _, o := range m.from {
		old := &v1alpha1.RevocationChunk{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}}
		err := c.Client.Delete(ctx, old, client.Preconditions{UID: &o.UID, ResourceVersion: &o.ResourceVersion})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			errs = append(errs, fmt.Errorf("delete merged chunk %s/%s: %w", o.Namespace, o.Name, err))
		}
	}
	return errors.Join(errs...)
}
