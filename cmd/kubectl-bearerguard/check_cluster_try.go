package main

import (
	"context"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/clustercheck"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// warnings are those that came with an answer of the API server.
type warnings struct {
	mu   sync.Mutex
	text []string
}

var _ rest.WarningHandler = (*warnings)(nil)

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

// try creates an object by dry run. It returns what the API server says of it, and its warnings.
func (l *looking) try(ctx context.Context, o client.Object) ([]string, error) {
	var w warnings
	config := rest.CopyConfig(l.config)
	config.WarningHandler = &w
	c, err := client.New(config, client.Options{Scheme: l.client.Scheme(), Mapper: l.client.RESTMapper()})
	if err != nil {
		return nil, err
	}
	err = c.Create(ctx, o, client.DryRunAll)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text, err
}

// tryPolicy tries a policy that allows nothing, of which the webhook that answers warns.
func (l *looking) tryPolicy(ctx context.Context) clustercheck.Known[clustercheck.Trial] {
	p := &v1alpha1.AuthPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: "bearerguard-check-cluster"},
		Spec: v1alpha1.AuthPolicySpec{
			Selector: policy.Selector{MatchLabels: map[string]string{"bearerguard.dev/check-cluster": "nobody"}},
			Spec: policy.Spec{Issuers: []policy.Issuer{{
				Name: "nobody", Issuer: "https://nobody.invalid", Audiences: []string{"nobody"}, Keys: policy.KeySource{JWKSURL: "https://nobody.invalid/jwks"},
			}}},
		},
	}
	said, err := l.try(ctx, p)
	return trialOf(l.namespace, len(said) > 0, err)
}

// tryPod tries a pod that asks for a sidecar, by the strictest rules of Pod Security.
func (l *looking) tryPod(ctx context.Context) clustercheck.Known[clustercheck.Trial] {
	yes, no, user := true, false, int64(65532)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: l.namespace, Name: "bearerguard-check-cluster", Annotations: map[string]string{v1alpha1.AnnotationInject: "enabled"},
		},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "app", Image: "registry.invalid/app", Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		},
	}
	_, err := l.try(ctx, p)
	return trialOf(l.namespace, cluster.HasSidecar(p), err)
}

// trialOf reads what came of a trial. That one may not create such an object says nothing of the webhooks.
func trialOf(namespace string, answered bool, err error) clustercheck.Known[clustercheck.Trial] {
	t := clustercheck.Trial{Namespace: namespace, Answered: answered}
	if err == nil {
		return known(t, nil)
	}
	text := err.Error()
	if status, ok := err.(apierrors.APIStatus); !ok || apierrors.IsForbidden(err) && strings.Contains(text, "cannot create resource") || status.Status().Code == 404 {
		return known(t, err)
	}
	t.Refused = text
	ours := strings.Contains(text, ".bearerguard.dev\" denied") || strings.Contains(text, "container \""+inject.CaptureName+"\"")
	t.Answered = ours && !strings.Contains(text, "failed calling webhook")
	return known(t, nil)
}
