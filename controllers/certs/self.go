package certs

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

const (
	// again is the wait after a write, or a failure of one.
	again = time.Second
	// follow is how long a replica that does not lead leaves it to the leader to put things right.
	follow = 2 * time.Second
	// newcomer is how long a replica that starts waits for others to bring back a Secret that somebody trusts already.
	newcomer = 5 * time.Second
)

// rotator keeps the Secret: every replica serves what it says and brings it back if it is gone; the leader rotates.
type rotator struct {
	config  Config
	timing  timing
	store   *store
	objects client.Reader
	client  client.Client
	leads   func() bool
	trust   *trust
	wake    chan struct{}

	// Touched by run only.
	held    *state    // the last good one
	missing time.Time // since when the Secret is gone or unusable
}

// setupSelf adds the rotator, and what makes the API server trust its authority.
func setupSelf(mgr manager.Manager, c Config, s *store, objects cache.Cache) (<-chan struct{}, error) {
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("client for certificates: %w", err)
	}
	t := &trust{name: c.Cell.Name(WebhookConfiguration), store: s, objects: objects, client: direct, leads: leads(mgr), log: c.Log, ready: make(chan struct{}), wake: make(chan struct{}, 1)}
	r := &rotator{
		config: c, timing: timing{c.Overlap, c.Retire}.withDefaults(), store: s, objects: objects, client: direct,
		leads: leads(mgr), trust: t, wake: make(chan struct{}, 1),
	}
	for _, run := range []func(context.Context) error{
		func(ctx context.Context) error { return t.run(ctx, objects) },
		func(ctx context.Context) error { return r.run(ctx, objects, mgr.Elected()) },
	} {
		if err := mgr.Add(everywhere{run}); err != nil {
			return nil, err
		}
	}
	return t.ready, nil
}

// leads returns whether this replica leads.
func leads(mgr manager.Manager) func() bool {
	return func() bool {
		select {
		case <-mgr.Elected():
			return true
		default:
			return false
		}
	}
}

// watch has wake told of every change of a kind of object.
func watch(ctx context.Context, objects cache.Cache, kind client.Object, wake chan struct{}) error {
	informer, err := objects.GetInformer(ctx, kind)
	if err != nil {
		return fmt.Errorf("watch certificates: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { signal(wake) }, UpdateFunc: func(_, _ any) { signal(wake) }, DeleteFunc: func(any) { signal(wake) },
	})
	if err != nil {
		return fmt.Errorf("watch certificates: %w", err)
	}
	return nil
}

// signal wakes whoever waits on a channel of size one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (r *rotator) run(ctx context.Context, objects cache.Cache, elected <-chan struct{}) error {
	if err := watch(ctx, objects, &corev1.Secret{}, r.wake); err != nil {
		return err
	}
	objects.WaitForCacheSync(ctx)
	for ctx.Err() == nil {
		timer := time.NewTimer(min(r.turn(ctx), time.Hour))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.wake:
		case <-elected:
			elected = nil
		}
		timer.Stop()
	}
	return nil
}

// turn looks at the Secret and does at most one thing. It returns when to look again at the latest.
func (r *rotator) turn(ctx context.Context) time.Duration {
	var secret corev1.Secret
	err := r.objects.Get(ctx, client.ObjectKey{Namespace: r.config.Namespace, Name: SecretName}, &secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return r.retry(ctx, fmt.Errorf("read secret %s: %w", SecretName, err))
	}
	if err != nil {
		return r.restore(ctx, nil, errors.New("the secret is not there"))
	}
	s, err := read(&secret)
	if err != nil {
		return r.restore(ctx, &secret, err)
	}
	if r.foreign(s) {
		return r.adopt(ctx, &secret, s)
	}
	r.missing = time.Time{}
	if err := r.store.load(s.cert, s.key, s.bundle()); err != nil {
		return r.retry(ctx, err)
	}
	r.held = s
	if !r.leads() {
		return time.Hour
	}
	now := time.Now()
	what, wait := plan(s, now, r.timing, r.config.DNSNames(), !s.next.none() && r.everybody(ctx, s))
	if what == stepNone {
		return wait
	}
	after, err := s.take(what, now, r.config.DNSNames())
	if err != nil {
		return r.retry(ctx, err)
	}
	return r.update(ctx, &secret, after, string(what))
}

// restore brings back a Secret that is gone or unusable. secret is nil if it is gone.
func (r *rotator) restore(ctx context.Context, secret *corev1.Secret, cause error) time.Duration {
	now := time.Now()
	if r.missing.IsZero() {
		r.missing = now
	}
	if left := r.missing.Add(r.reserve(ctx)).Sub(now); left > 0 {
		return left
	}
	s, what := r.held, fmt.Sprintf("bring back the certificates, since %s", cause)
	if s == nil {
		what = fmt.Sprintf("make certificates, since %s", cause)
		var err error
		if s, err = fresh(secret, now, r.config.DNSNames()); err != nil {
			return r.retry(ctx, err)
		}
	}
	if secret != nil {
		return r.update(ctx, secret, s, what)
	}
	secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: r.config.Namespace, Name: SecretName, Labels: map[string]string{"app.kubernetes.io/managed-by": "bearerguard"},
	}}
	s.write(secret)
	return r.wrote(ctx, r.client.Create(ctx, secret), what)
}

// fresh returns a state with a new serving certificate, signed by the Secret's authority if that is of use.
func fresh(secret *corev1.Secret, now time.Time, names []string) (*state, error) {
	if secret != nil {
		if s, _ := read(secret); s != nil {
			return s.take(stepRenew, now, names)
		}
	}
	return begin(now, names)
}

// reserve is how long others are to have time to bring back the Secret.
func (r *rotator) reserve(ctx context.Context) time.Duration {
	switch {
	case r.held == nil && r.trust.anybody(ctx):
		return newcomer // those who serve what is trusted hold it, and it is not to be replaced
	case r.held != nil && !r.leads():
		return follow
	default:
		return 0
	}
}

// foreign reports whether a Secret is somebody else's: nobody who trusts what we serve would trust what it serves.
func (r *rotator) foreign(s *state) bool {
	return r.held != nil && !shares(r.held.bundle(), s.bundle()) && time.Now().Before(parsed(r.held.cert).NotAfter)
}

// adopt writes back our own material with the other's authority as the next; so long we go on serving ours.
func (r *rotator) adopt(ctx context.Context, secret *corev1.Secret, other *state) time.Duration {
	if !r.leads() {
		return time.Hour
	}
	return r.update(ctx, secret, r.held.adopt(other), "rotate to the authority that somebody put into the secret")
}

// everybody reports whether the webhook configurations and all published ConfigMaps have the next authority.
func (r *rotator) everybody(ctx context.Context, s *state) bool {
	return r.trust.has(ctx, s.next.cert) && published(ctx, r.objects, s.next.cert)
}

// update writes the Secret if nobody else has done so since it was read.
func (r *rotator) update(ctx context.Context, secret *corev1.Secret, s *state, what string) time.Duration {
	secret = secret.DeepCopy()
	s.write(secret)
	return r.wrote(ctx, r.client.Update(ctx, secret), what)
}

// wrote is told how a write went. What it brought is taken in when the watch tells of it, from whomever it is.
func (r *rotator) wrote(ctx context.Context, err error, what string) time.Duration {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return again // another replica was first, or the watch is behind
	}
	if err != nil {
		return r.retry(ctx, fmt.Errorf("%s: %w", what, err))
	}
	r.config.Log.Info("wrote the certificates", "secret", SecretName, "step", what)
	return again
}

func (r *rotator) retry(ctx context.Context, err error) time.Duration {
	if ctx.Err() == nil {
		r.config.Log.Error(err, "certificates are not kept; what is served stays")
	}
	return again
}
