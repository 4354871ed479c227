package certs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/cell"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

// A Publisher keeps the ConfigMap bearerguard-ca, with the authority in ca.crt, in the namespaces that have use for it:
// those of its cell that are labelled bearerguard.dev/inject=enabled or have an AuthPolicy, those where a pod was injected, and the
// controller's own, for who scrapes its metrics. There it stays, and follows the authority, as long as the namespace lives: pods of a namespace that has left the cell may still mount it. A
// release with a revision has a ConfigMap of another name, so that both can be there.
type Publisher struct {
	store   *store
	objects client.Reader // ConfigMaps of that name only
	client  client.Client
	log     logr.Logger
	cell    cell.Cell
	home    string // the controller's own namespace

	published sync.Map // namespaces that have had the ConfigMap
}

func setupPublisher(mgr manager.Manager, c Config, s *store, objects cache.Cache) (*Publisher, error) {
	p := &Publisher{store: s, objects: objects, client: mgr.GetClient(), log: c.Log, cell: c.Cell, home: c.Namespace}
	changed, from := make(chan event.GenericEvent, 1), s.subscribe()
	if err := mgr.Add(everywhere{func(ctx context.Context) error { return forward(ctx, from, changed) }}); err != nil {
		return nil, err
	}
	toNamespace := func(_ context.Context, o client.Object) []reconcile.Request { return request(o.GetNamespace()) }
	err := builder.ControllerManagedBy(mgr).Named(c.Name+"-ca").
		For(&corev1.Namespace{}, builder.OnlyMetadata).
		Watches(metadata("AuthPolicy"), handler.EnqueueRequestsFromMapFunc(toNamespace)).
		WatchesRawSource(source.Kind[client.Object](objects, &corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(toNamespace))).
		WatchesRawSource(source.Channel(changed, handler.EnqueueRequestsFromMapFunc(p.everyNamespace))).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Complete(trace.Reconciler(c.Tracer, c.Name+"-ca", p, func(r ctrl.Request) string { return r.Name }))
	if err != nil {
		return nil, fmt.Errorf("publisher of the certificate authority: %w", err)
	}
	return p, nil
}

// metadata returns an object that is watched by its metadata alone.
func metadata(kind string) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	return m
}

// forward turns changes of the store into events of the controller. Not being the leader, nobody listens: an event waits.
func forward(ctx context.Context, from <-chan struct{}, to chan<- event.GenericEvent) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-from:
		}
		select {
		case <-ctx.Done():
			return nil
		case to <- event.GenericEvent{Object: &corev1.Namespace{}}:
		}
	}
}

func request(namespace string) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: namespace}}}
}

// everyNamespace maps a change of the authority to all namespaces.
func (p *Publisher) everyNamespace(ctx context.Context, _ client.Object) []reconcile.Request {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := p.client.List(ctx, list); err != nil {
		p.log.Error(err, "cannot list namespaces; the certificate authority is not renewed")
		return nil
	}
	var out []reconcile.Request
	for _, ns := range list.Items {
		out = append(out, request(ns.Name)...)
	}
	return out
}

// Reconcile brings the ConfigMap of one namespace up to date, if the namespace has use for it.
func (p *Publisher) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := p.client.Get(ctx, req.NamespacedName, ns); err != nil {
		if apierrors.IsNotFound(err) {
			p.published.Delete(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !ns.DeletionTimestamp.IsZero() || p.store.authority() == nil {
		return ctrl.Result{}, nil
	}
	wanted, err := p.wanted(ctx, ns)
	if err != nil || !wanted {
		return ctrl.Result{}, err
	}
	err = p.publish(ctx, req.Name, func(current []byte) bool { return bytes.Equal(current, p.store.authority()) })
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, err
}

// wanted reports whether a namespace has use for the ConfigMap.
func (p *Publisher) wanted(ctx context.Context, ns *metav1.PartialObjectMetadata) (bool, error) {
	owned := p.cell.Owns(ns.Labels)
	if _, had := p.published.Load(ns.Name); had || ns.Name == p.home || owned && ns.Labels[v1alpha1.LabelInject] == "enabled" {
		return true, nil
	}
	_, found, err := p.current(ctx, ns.Name)
	if err != nil || found || !owned {
		return found, err
	}
	policies := &metav1.PartialObjectMetadataList{}
	policies.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AuthPolicyList"))
	if err := p.client.List(ctx, policies, client.InNamespace(ns.Name), client.Limit(1)); err != nil {
		return false, fmt.Errorf("list policies of namespace %s: %w", ns.Name, err)
	}
	return len(policies.Items) > 0, nil
}

// current returns the authority that the namespace's ConfigMap holds, and whether there is one.
func (p *Publisher) current(ctx context.Context, namespace string) (ca string, found bool, err error) {
	var cm corev1.ConfigMap
	err = p.objects.Get(ctx, client.ObjectKey{Namespace: namespace, Name: p.name()}, &cm)
	if apierrors.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read configmap %s/%s: %w", namespace, p.name(), err)
	}
	p.published.Store(namespace, true)
	return cm.Data[inject.CAKey], true, nil
}

// name is the name of the ConfigMap.
func (p *Publisher) name() string { return p.cell.Name(inject.CAConfigMap) }

// PublishCA makes sure that namespace has the ConfigMap and that it trusts the current authority. What it trusts beyond that is
// the leader's to take away.
func (p *Publisher) PublishCA(ctx context.Context, namespace string) error {
	return p.publish(ctx, namespace, func(current []byte) bool { return holds(current, p.store.authority()) })
}

// publish writes the ConfigMap unless it is fine.
func (p *Publisher) publish(ctx context.Context, namespace string, fine func(current []byte) bool) error {
	ca := p.store.authority()
	if ca == nil {
		return errors.New("there is no certificate authority yet")
	}
	current, found, err := p.current(ctx, namespace)
	if err != nil {
		return err
	}
	if found && fine([]byte(current)) {
		return nil
	}
	cm := applycorev1.ConfigMap(p.name(), namespace).
		WithLabels(map[string]string{"app.kubernetes.io/managed-by": "bearerguard"}).
		WithData(map[string]string{inject.CAKey: string(ca)})
	if err := p.client.Apply(ctx, cm, client.FieldOwner("bearerguard-ca"), client.ForceOwnership); err != nil {
		return fmt.Errorf("apply configmap %s/%s: %w", namespace, p.name(), err)
	}
	p.published.Store(namespace, true)
	return nil
}
