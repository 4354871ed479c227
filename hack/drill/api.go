package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"
)

// Resources of the API server that are written faster than kubectl can.
var (
	configMaps       = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	authPolicies     = schema.GroupVersionResource{Group: "bearerguard.dev", Version: "v1alpha1", Resource: "authpolicies"}
	tokenRevocations = schema.GroupVersionResource{Group: "bearerguard.dev", Version: "v1alpha1", Resource: "tokenrevocations"}
)

// newAPI returns a client of the API server that does not pace itself and keeps warnings to itself.
func newAPI() (dynamic.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	config.QPS, config.Timeout, config.WarningHandler = -1, 30*time.Second, rest.NoWarnings{}
	return dynamic.NewForConfig(config)
}

// put creates an object, or replaces it if it is there.
func (w *world) put(ctx context.Context, kind schema.GroupVersionResource, manifest string) error {
	var o unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
		return err
	}
	objects := w.api.Resource(kind).Namespace(o.GetNamespace())
	_, err := objects.Create(ctx, &o, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { // the status is written all the time
		old, err := objects.Get(ctx, o.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		o.SetResourceVersion(old.GetResourceVersion())
		_, err = objects.Update(ctx, &o, metav1.UpdateOptions{})
		return err
	})
}

// remove deletes an object if it is there.
func (w *world) remove(ctx context.Context, kind schema.GroupVersionResource, namespace, name string) error {
	err := w.api.Resource(kind).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// editTakes denies a path by a new policy, and returns how long it took until every pod of the app refused it.
func (w *world) editTakes(ctx context.Context) (time.Duration, error) {
	ips, err := w.addresses(ctx)
	if err != nil {
		return 0, err
	}
	name, token := fmt.Sprintf("timed-%d", time.Now().UnixNano()), w.signer.get().token(claims())
	start := time.Now()
	if err := w.put(ctx, authPolicies, denyPolicy(name)); err != nil {
		return 0, err
	}
	for _, ip := range ips {
		for askOnce(ctx, "http://"+ip+":8080/"+name, token) != 403 {
			if time.Since(start) > 30*time.Second || !pause(ctx, 5*time.Millisecond) {
				return 0, errors.New("an edit is not in force after 30 s")
			}
		}
	}
	return time.Since(start), w.remove(ctx, authPolicies, shop, name)
}
