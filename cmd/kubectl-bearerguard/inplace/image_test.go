package inplace

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/upgrade"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// refusal is how the API server passes on what a webhook denies.
func refusal(why string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New(`admission webhook "enforced-pods.bearerguard.dev" denied the request: `+why))
}

func TestWantedImageWaitsForReplicasThatDiffer(t *testing.T) {
	t.Parallel()
	differ := refusal("spec.initContainers[bearerguard-capture].image: is another; want " + inject.WantAdmitted)
	for what, c := range map[string]struct {
		refuses time.Duration // after which a pod is taken
		err     error
		want    string // of the error; empty: the image is found
		within  time.Duration
	}{
		"they agree":                      {0, differ, "", 0},
		"they agree after a while":        {5 * time.Second, differ, "", 6 * time.Second},
		"they never agree":                {time.Hour, differ, "want what admission puts there", 31 * time.Second},
		"the pod is refused for its user": {time.Hour, refusal("pods may not run here"), "pods may not run here", 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				admission := interceptor.Funcs{Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
					if time.Since(start) < c.refuses {
						return c.err
					}
					p, _ := o.(*corev1.Pod)
					p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: inject.SidecarName, Image: "example/x:2"})
					return nil
				}}
				like := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders"}}
				image, err := WantedImage(t.Context(), fake.NewClientBuilder().WithInterceptorFuncs(admission).Build(), like)
				switch took := time.Since(start); {
				case took > c.within:
					t.Errorf("took %s", took)
				case c.want == "" && (err != nil || image == ""):
					t.Errorf("image %q, error %v", image, err)
				case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
					t.Errorf("error %v; want %q", err, c.want)
				}
			})
		})
	}
}

// An image that a person has named is none that replicas come to agree about.
func TestANamedImageThatPodsMayNotHaveIsToldOfAtOnce(t *testing.T) {
	t.Parallel()
	for named, within := range map[bool]time.Duration{true: 0, false: 31 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			admission := interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
				return refusal("spec.initContainers[bearerguard].image: is another; want " + inject.WantAdmitted)
			}}
			r := Runner{
				Client: fake.NewClientBuilder().WithInterceptorFuncs(admission).Build(), Named: named, Say: func(string) {},
				Options: upgrade.Options{Image: "example/wrong:1"},
			}
			err := r.try(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders"}})
			if err == nil || !strings.Contains(err.Error(), inject.WantAdmitted) || strings.Contains(err.Error(), "leave out --image") != named {
				t.Errorf("named %t: %v", named, err)
			}
			if took := time.Since(start); took > within || !named && took < replicasDiffer {
				t.Errorf("named %t: it took %s", named, took)
			}
		})
	}
}
