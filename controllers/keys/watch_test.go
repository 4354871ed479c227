package keys_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/keys"
)

// shelf is an API server for ConfigMaps with resource versions and watches.
type shelf struct {
	client.Reader // List is never called

	mu        sync.Mutex
	maps      map[string]*corev1.ConfigMap
	version   int
	gets      int
	forbidden bool // to watch
	watches   map[string]*watch.RaceFreeFakeWatcher
	begun     int
}

func newShelf() *shelf {
	return &shelf{maps: map[string]*corev1.ConfigMap{}, watches: map[string]*watch.RaceFreeFakeWatcher{}}
}

func (s *shelf) Get(_ context.Context, at client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	if m := s.maps[at.Name]; m != nil {
		m.DeepCopyInto(into.(*corev1.ConfigMap))
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, at.Name)
}

func (s *shelf) Watch(ctx context.Context, _ client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	if s.forbidden {
		return nil, apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("no"))
	}
	var o client.ListOptions
	o.ApplyOptions(opts)
	name, ok := o.FieldSelector.RequiresExactMatch("metadata.name")
	if !ok || o.Namespace != "shop" {
		return nil, errors.New("watches more than one object")
	}
	w := watch.NewRaceFreeFake()
	s.watches[name] = w
	if m := s.maps[name]; m != nil {
		w.Add(m.DeepCopy())
	}
	return w, nil
}

// put writes a ConfigMap; nil keys delete it.
func (s *shelf) put(name string, kids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	m := &corev1.ConfigMap{Data: map[string]string{"jwks": jwks(kids...)}}
	m.Namespace, m.Name, m.ResourceVersion = "shop", name, fmt.Sprint(s.version)
	w, old := s.watches[name], s.maps[name]
	if len(kids) == 0 {
		delete(s.maps, name)
		if w != nil {
			w.Delete(m)
		}
		return
	}
	s.maps[name] = m
	switch {
	case w == nil:
	case old == nil:
		w.Add(m.DeepCopy())
	default:
		w.Modify(m.DeepCopy())
	}
}

func (s *shelf) count(f func(*shelf) int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f(s)
}

func fromMap(name string) policy.Issuer {
	return policy.Issuer{Name: name, Keys: policy.KeySource{ConfigMapRef: &policy.KeyRef{Name: name, Key: "jwks"}}}
}

// onShelf runs a Resolver on a shelf, in a bubble of its own time.
func onShelf(t *testing.T, s *shelf, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{changed: make(chan string, 100_000)}
		var err error
		b.Resolver, err = keys.New(keys.Options{
			Reader: s, Watcher: s, Poll: 5 * time.Second,
			Cluster: func(context.Context) (string, []byte, error) { return "", nil, errors.New("none") },
			Changed: func(ns string) { b.changed <- ns },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		test(t, b)
		cancel()
		<-done
	})
}

func TestAChangedKeySetIsHeardOfAtOnce(t *testing.T) {
	t.Parallel()
	s := newShelf()
	onShelf(t, s, func(t *testing.T, b *bench) {
		id := b.want("shop", fromMap("keys"))[0]
		state := func(within time.Duration) keys.State {
			time.Sleep(within)
			return b.States("shop")[id]
		}
		if x := state(time.Second); x.Keys != 0 || x.Err == nil {
			t.Errorf("not there: %d keys, %v", x.Keys, x.Err)
		}
		s.put("keys", "a")
		if x := state(50 * time.Millisecond); x.Keys != 1 || x.Err != nil {
			t.Errorf("made: %d keys, %v", x.Keys, x.Err)
		}
		s.put("keys", "a", "b")
		if x := state(50 * time.Millisecond); x.Keys != 2 || x.Err != nil {
			t.Errorf("changed: %d keys, %v", x.Keys, x.Err)
		}
		s.put("keys")
		if x := state(50 * time.Millisecond); x.Keys != 2 || x.Err == nil {
			t.Errorf("deleted: %d keys, %v; want the last good ones and why", x.Keys, x.Err)
		}
		s.put("keys", "c")
		if x := state(50 * time.Millisecond); x.Keys != 1 || x.Err != nil {
			t.Errorf("made again: %d keys, %v", x.Keys, x.Err)
		}
		before := s.count(func(s *shelf) int { return s.gets })
		time.Sleep(time.Hour)
		if n := s.count(func(s *shelf) int { return s.gets }) - before; n > 2 {
			t.Errorf("%d reads in an hour of what is watched", n)
		}
	})
}

func TestAWatchThatEndsIsSetUpAgain(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.put("keys", "a")
	onShelf(t, s, func(t *testing.T, b *bench) {
		id := b.want("shop", fromMap("keys"))[0]
		time.Sleep(time.Second)
		s.mu.Lock()
		w := s.watches["keys"]
		delete(s.watches, "keys")
		s.mu.Unlock()
		s.put("keys") // nobody is told
		w.Stop()
		time.Sleep(time.Second)
		if x := b.States("shop")[id]; x.Keys != 1 || x.Err == nil {
			t.Errorf("deleted meanwhile: %d keys, %v", x.Keys, x.Err)
		}
		s.put("keys", "a", "b")
		time.Sleep(50 * time.Millisecond)
		if x := b.States("shop")[id]; x.Keys != 2 || x.Err != nil {
			t.Errorf("changed: %d keys, %v", x.Keys, x.Err)
		}
	})
}

func TestWhatMayNotBeWatchedIsPolled(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.forbidden = true
	s.put("keys", "a")
	onShelf(t, s, func(t *testing.T, b *bench) {
		id := b.want("shop", fromMap("keys"))[0]
		time.Sleep(time.Second)
		s.put("keys", "a", "b")
		time.Sleep(11 * time.Second) // a round, and the one before it, which may have had nothing to read
		if x := b.States("shop")[id]; x.Keys != 2 {
			t.Errorf("%d keys after a round of polling, want 2", x.Keys)
		}
		time.Sleep(10 * time.Minute)
		if n := s.count(func(s *shelf) int { return s.begun }); n > 12 {
			t.Errorf("%d tries to watch in ten minutes", n)
		}
	})
}

func TestANamespaceHasABoundOfWatches(t *testing.T) {
	t.Parallel()
	s := newShelf()
	var issuers []policy.Issuer
	for i := range 100 {
		name := fmt.Sprintf("keys-%d", i)
		s.put(name, "a")
		issuers = append(issuers, fromMap(name))
	}
	onShelf(t, s, func(t *testing.T, b *bench) {
		ids := b.want("shop", issuers...)
		time.Sleep(time.Second)
		if n := s.count(func(s *shelf) int { return s.begun }); n != 64 {
			t.Errorf("%d watches, want 64", n)
		}
		for i := range 100 {
			s.put(fmt.Sprintf("keys-%d", i), "a", "b")
		}
		time.Sleep(2 * time.Minute)
		for i, id := range ids {
			if x := b.States("shop")[id]; x.Keys != 2 {
				t.Fatalf("source %d: %d keys", i, x.Keys)
			}
		}
		b.want("shop")
		b.want("shop", issuers[:1]...)
		time.Sleep(time.Second)
		if n := s.count(func(s *shelf) int { return s.begun }); n != 65 {
			t.Errorf("%d watches were begun, want 65: those of what nobody names end", n)
		}
	})
}

// A flood of changes is heard of with a pace, and the newest of it counts in the end.
func TestAFloodOfChangesIsPaced(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.put("keys", "a")
	onShelf(t, s, func(t *testing.T, b *bench) {
		id := b.want("shop", fromMap("keys"))[0]
		time.Sleep(time.Second)
		for len(b.changed) > 0 {
			<-b.changed
		}
		for i := range 1000 {
			s.put("keys", fmt.Sprint("k", i%7), fmt.Sprint("l", i%5))
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(b.changed); n > 35 {
			t.Errorf("%d changes in ten seconds, want 30 or so", n)
		}
		s.put("keys", "x", "y", "z")
		time.Sleep(2 * time.Second)
		if x := b.States("shop")[id]; x.Keys != 3 {
			t.Errorf("%d keys, want the newest 3", x.Keys)
		}
	})
}
