package dashboard

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
	"github.com/bearerguard/bearerguard/sidecar/explain"
)

// Source is where facts are from. Its methods may be called at the same time.
type Source interface {
	// Policies and Pods return all of the namespaces that the dashboard is about.
	Policies(ctx context.Context) ([]v1alpha1.AuthPolicy, error)
	Pods(ctx context.Context) ([]corev1.Pod, error)
	// Refusals returns the last refusals that the sidecar of a pod remembers, at most so many, the newest first.
	Refusals(ctx context.Context, pod *corev1.Pod, most int) ([]admin.Request, error)
	// Keys returns the keys that it has in force.
	Keys(ctx context.Context, pod *corev1.Pod) (fleet.HeldKeys, error)
	// Fetches returns how the controller's fetches of keys go, by the ids of sources; none if it cannot be asked: most may not.
	Fetches(ctx context.Context) map[string]fetch.Report
	// Requests returns what it remembers under an id.
	Requests(ctx context.Context, pod *corev1.Pod, id string) ([]admin.Request, error)
	// Explain has it explain a request.
	Explain(ctx context.Context, pod *corev1.Pod, q *explain.Question) (admin.Explanation, error)
}

// Cluster is a real one, by the rights of a kubeconfig's user.
type Cluster struct {
	Client client.Client
	Config *rest.Config
	// Namespace that the dashboard is about; "": all.
	Namespace string
}

var _ Source = (*Cluster)(nil)

// Policies lists them.
func (c *Cluster) Policies(ctx context.Context) ([]v1alpha1.AuthPolicy, error) {
	var list v1alpha1.AuthPolicyList
	err := c.Client.List(ctx, &list, client.InNamespace(c.Namespace))
	return list.Items, err
}

// Pods lists them.
func (c *Cluster) Pods(ctx context.Context) ([]corev1.Pod, error) {
	return cluster.Pods(ctx, c.Client, c.Namespace, "")
}

// Refusals asks the sidecar by port-forward, as Requests and Explain do.
func (c *Cluster) Refusals(ctx context.Context, pod *corev1.Pod, most int) ([]admin.Request, error) {
	return admin.Refusals(ctx, c.Config, pod, most)
}

// Keys asks the sidecar.
func (c *Cluster) Keys(ctx context.Context, pod *corev1.Pod) (fleet.HeldKeys, error) {
	return admin.Keys(ctx, c.Config, pod)
}

// Fetches asks the controller's pods until one answers.
func (c *Cluster) Fetches(ctx context.Context) map[string]fetch.Report {
	pods, err := cluster.Controllers(ctx, c.Client)
	if err != nil {
		return nil
	}
	for i := range pods {
		if s, err := admin.SourcesOf(ctx, c.Config, &pods[i], c.Namespace); err == nil {
			return s.Sources
		}
	}
	return nil
}

// Requests asks the sidecar.
func (c *Cluster) Requests(ctx context.Context, pod *corev1.Pod, id string) ([]admin.Request, error) {
	return admin.Requests(ctx, c.Config, pod, id)
}

// Explain asks the sidecar.
func (c *Cluster) Explain(ctx context.Context, pod *corev1.Pod, q *explain.Question) (admin.Explanation, error) {
	return admin.Explain(ctx, c.Config, pod, q)
}
