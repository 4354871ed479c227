package revsource

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The entries of sharedSignals.credentialsSecretRef.
const (
	entryReceived = "received"
	entryToken    = "token"
)

const (
	// credentialsAge is how old what was read of a Secret may be, and credentialsNew the same after a token did not fit.
	credentialsAge, credentialsNew = 30 * time.Second, 5 * time.Second
	credentialsWait                = 5 * time.Second
)

var errCredentials = errors.New("credentials")

// credentials reads Secrets by their names. It is safe for concurrent use.
type credentials struct {
	reader client.Reader
	now    func() time.Time

	mu sync.Mutex
	of map[client.ObjectKey]*credential // guarded by mu; those of sources, each once
}

type credential struct {
	mu   sync.Mutex
	data map[string][]byte // guarded by mu
	err  error             // guarded by mu
	at   time.Time         // guarded by mu
}

// get returns an entry of a source's Secret, read no longer ago than an age.
func (c *credentials) get(ctx context.Context, s *served, entry string, age time.Duration) (string, error) {
	value, err := c.entry(ctx, client.ObjectKey{Namespace: s.ref.Namespace, Name: s.spec.SharedSignals.CredentialsSecretRef.Name}, entry, age)
	return string(value), err
}

// entry returns an entry of a Secret.
func (c *credentials) entry(ctx context.Context, key client.ObjectKey, entry string, age time.Duration) ([]byte, error) {
	c.mu.Lock()
	if c.of == nil {
		c.of = map[client.ObjectKey]*credential{}
	}
	x := c.of[key]
	if x == nil {
		x = &credential{}
		c.of[key] = x
	}
	c.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if c.now().Sub(x.at) > age {
		x.read(ctx, c.reader, key)
		x.at = c.now()
	}
	if x.err != nil {
		return nil, x.err
	}
	if len(x.data[entry]) == 0 {
		return nil, fmt.Errorf("%w: Secret %s has no entry %q", errCredentials, key.Name, entry)
	}
	return x.data[entry], nil
}

// read is called with mu held.
func (x *credential) read(ctx context.Context, reader client.Reader, key client.ObjectKey) {
	ctx, cancel := context.WithTimeout(ctx, credentialsWait)
	defer cancel()
	var secret corev1.Secret
	switch err := reader.Get(ctx, key, &secret); {
	case apierrors.IsNotFound(err):
		x.data, x.err = nil, fmt.Errorf("%w: there is no Secret %s", errCredentials, key.Name)
	case apierrors.IsForbidden(err):
		x.data, x.err = nil, fmt.Errorf("%w: the controller may not read Secret %s: its roles do not grant it (rbac.secrets of the chart)", errCredentials, key.Name)
	case err != nil && x.data == nil:
		x.err = fmt.Errorf("%w: Secret %s cannot be read", errCredentials, key.Name)
	case err == nil:
		x.data, x.err = secret.Data, nil
	}
}

// retain forgets the Secrets of other sources than these, which are all.
func (c *credentials) retain(sources []*served) {
	named := map[client.ObjectKey]bool{}
	for _, s := range sources {
		if x := s.spec.SharedSignals; x != nil {
			named[client.ObjectKey{Namespace: s.ref.Namespace, Name: x.CredentialsSecretRef.Name}] = true
		}
		if x := s.spec.CASecretRef; x != nil {
			named[client.ObjectKey{Namespace: s.ref.Namespace, Name: x.Name}] = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.of {
		if !named[key] {
			delete(c.of, key)
		}
	}
}

// same compares in a time that tells nothing of either.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
