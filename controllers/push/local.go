package push

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
)

const (
	// refreshKeys is how often the cluster's keys are read, and unknownKeys how often at most where a token names another.
	refreshKeys = 5 * time.Minute
	unknownKeys = 10 * time.Second
	// staleKeys is how long keys are good for that cannot be read again.
	staleKeys = time.Hour
	keysWait  = 5 * time.Second
)

// Live says whether a pod and a service account are there now, under these names with these UIDs, and not on their way out. If
// it is not sure it says no. It does not ask the API server.
type Live interface {
	Lives(ctx context.Context, namespace string, pod, account Named) bool
}

// Named is an object of a namespace.
type Named struct{ Name, UID string }

// LocalReviewer verifies tokens by the keys of the cluster's own issuer and by what the cache of pods and service accounts has, so
// that ten thousand sidecars that connect at once cost the API server nothing. What it cannot judge it asks another Reviewer.
type LocalReviewer struct {
	// Keys returns the issuer and the JWK Set of the cluster's own service-account tokens.
	Keys func(context.Context) (issuer string, jwks []byte, err error)
	Live Live
	// Else is asked about what cannot be judged here.
	Else Reviewer

	mu      sync.Mutex
	tried   time.Time     // guarded by mu
	read    time.Time     // guarded by mu; zero: never
	issuer  string        // guarded by mu
	keys    []keyset.Key  // guarded by mu
	reading chan struct{} // guarded by mu; of the last try: closed when it is over
}

var _ Reviewer = (*LocalReviewer)(nil)

// Review says which pod a token is bound to.
func (l *LocalReviewer) Review(ctx context.Context, token string) (Identity, error) {
	p, err := l.verify(ctx, token)
	switch {
	case errors.Is(err, errUnsure):
		return l.Else.Review(ctx, token)
	case err != nil:
		return Identity{}, err
	case !l.Live.Lives(ctx, p.namespace, Named{p.pod, p.podUID}, Named{p.account, p.accountUID}):
		return l.Else.Review(ctx, token) // it is gone, or the cache is behind
	}
	return p.identity(), nil
}

// verify verifies a token by the keys that there are, and by newer ones if it names another.
func (l *LocalReviewer) verify(ctx context.Context, token string) (podToken, error) {
	p, err := l.verifyBy(ctx, token, refreshKeys)
	if errors.Is(err, errUnsure) {
		return l.verifyBy(ctx, token, unknownKeys)
	}
	return p, err
}

func (l *LocalReviewer) verifyBy(ctx context.Context, token string, newer time.Duration) (podToken, error) {
	issuer, keys := l.current(ctx, newer)
	if keys == nil {
		return podToken{}, errUnsure
	}
	return verifyPodToken(token, issuer, keys, time.Now())
}

// current returns the keys, read again if that was longer ago than newer; nil if they are not known well enough. While one caller reads
// them, others go on with those that there are, and wait where there are none.
func (l *LocalReviewer) current(ctx context.Context, newer time.Duration) (string, []keyset.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case now.Sub(l.read) >= newer && now.Sub(l.tried) >= unknownKeys:
		l.tried = now
		reading := make(chan struct{})
		l.reading = reading
		l.mu.Unlock()
		l.fetch(ctx, now)
		l.mu.Lock()
		close(reading)
	case now.Sub(l.read) >= staleKeys && l.reading != nil:
		reading := l.reading
		l.mu.Unlock()
		select {
		case <-reading:
		case <-ctx.Done():
		}
		l.mu.Lock()
	}
	if now.Sub(l.read) >= staleKeys {
		return "", nil
	}
	return l.issuer, l.keys
}

// fetch reads the keys; if that fails, those that there are stay.
func (l *LocalReviewer) fetch(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysWait)
	defer cancel()
	issuer, jwks, err := l.Keys(ctx)
	if err != nil {
		return
	}
	set, err := keyset.Read(jwks, keyset.Reading{Use: keyset.Public, Format: policy.FormatJWKS})
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.issuer, l.keys, l.read = issuer, set.Keys(), now
}
