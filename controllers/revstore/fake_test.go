package revstore

import (
	"context"
	"encoding/binary"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

var shop = Source{Namespace: "shop", Name: "login", UID: "u1"}

// cluster keeps chunks as the API server does.
type cluster struct {
	client.Client

	mu      sync.Mutex
	chunks  map[string]*v1alpha1.RevocationChunk
	version int
	writes  int
	bytes   int
	fail    error
	takes   time.Duration
}

func newCluster() *cluster { return &cluster{chunks: map[string]*v1alpha1.RevocationChunk{}} }

var chunkResource = schema.GroupResource{Group: "bearerguard.dev", Resource: "revocationchunks"}

func (c *cluster) write(o client.Object) error {
	time.Sleep(c.takes)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	chunk := o.(*v1alpha1.RevocationChunk)
	old := c.chunks[chunk.Name]
	switch {
	case chunk.ResourceVersion == "" && old != nil:
		return apierrors.NewAlreadyExists(chunkResource, chunk.Name)
	case chunk.ResourceVersion != "" && old == nil:
		return apierrors.NewNotFound(chunkResource, chunk.Name)
	case old != nil && old.ResourceVersion != chunk.ResourceVersion:
		return apierrors.NewConflict(chunkResource, chunk.Name, nil)
	}
	c.version++
	c.writes++
	c.bytes += len(chunk.Spec.Entries)
	chunk.ResourceVersion = strconv.Itoa(c.version)
	if old == nil {
		chunk.UID = types.UID(chunk.Name)
	}
	c.chunks[chunk.Name] = chunk.DeepCopy()
	return nil
}

func (c *cluster) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	return c.write(o)
}
func (c *cluster) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	return c.write(o)
}

func (c *cluster) Delete(_ context.Context, o client.Object, opts ...client.DeleteOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var d client.DeleteOptions
	d.ApplyOptions(opts)
	old := c.chunks[o.GetName()]
	if old == nil {
		return apierrors.NewNotFound(chunkResource, o.GetName())
	}
	if d.Preconditions != nil && *d.Preconditions.ResourceVersion != old.ResourceVersion {
		return apierrors.NewConflict(chunkResource, o.GetName(), nil)
	}
	delete(c.chunks, o.GetName())
	return nil
}

// List is a cache's.
func (c *cluster) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	into.(*Objects).Items = c.objects()
	return nil
}

func (c *cluster) objects() (out []Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, chunk := range c.chunks {
		o := Object{ObjectMeta: chunk.ObjectMeta, Spec: Chunk{Source: chunk.Spec.Source, Entries: revoked.ReadList(chunk.Spec.Entries)}}
		if chunk.Spec.LastEvent != nil {
			o.Spec.LastEvent = chunk.Spec.LastEvent.Time
		}
		out = append(out, o)
	}
	return out
}

// all is what the chunks take back together.
func (c *cluster) all() revoked.List {
	var lists []revoked.List
	for _, o := range c.objects() {
		lists = append(lists, o.Spec.Entries)
	}
	return revoked.Merge(lists...)
}

// entry is the nth, over at a time in seconds.
func entry(n int, over uint32) (r revoked.Record) {
	binary.BigEndian.PutUint64(r[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint32(r[12:], 1<<32-1)
	binary.BigEndian.PutUint32(r[16:], over)
	return r
}

func entries(from, to int, over uint32) (out []revoked.Record) {
	for i := from; i < to; i++ {
		out = append(out, entry(i, over))
	}
	return out
}

// stalled is a cache that is behind.
type stalled struct {
	client.Reader
	objects []Object
}

func (s stalled) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	into.(*Objects).Items = s.objects
	return nil
}
