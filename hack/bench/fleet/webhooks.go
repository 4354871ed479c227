package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// ask calls a webhook as the API server does and returns how long that took.
func (c *controller) ask(ctx context.Context, path string, kind metav1.GroupVersionKind, resource, namespace string, o any) (time.Duration, error) {
	raw, err := json.Marshal(o)
	if err != nil {
		return 0, err
	}
	yes := true
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: types.UID("bench"), Kind: kind, Resource: metav1.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: resource},
			Namespace: namespace, Name: "bench", Operation: admissionv1.Create, DryRun: &yes, Object: runtime.RawExtension{Raw: raw},
		},
	})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("https://127.0.0.1:%d%s", c.webhook, path), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	res, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(res.Body).Decode(&review); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if review.Response == nil || !review.Response.Allowed {
		return 0, fmt.Errorf("%s: not allowed: %v", path, review.Response)
	}
	return took, nil
}

// policyWebhook measures the admission of a policy with 256 rules.
func policyWebhook(ctx context.Context, b *bench) error {
	keys := map[string]any{"jwks": jwks(1)}
	o := object("AuthPolicy", "default", "bench", policySpec(map[string]any{"app": "bench"}, keys, 256))
	kind := metav1.GroupVersionKind{Group: "bearerguard.dev", Version: "v1alpha1", Kind: "AuthPolicy"}
	var took []time.Duration
	for range 300 {
		d, err := b.controller.ask(ctx, "/validate-authpolicies", kind, "authpolicies", "default", o)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	s := spread(took)
	row("policy webhook, 256 rules", s.String(), fmt.Sprintf("p50 < %s, p99 < %s", seconds(wantValidate), seconds(wantSlowest)),
		s.p50 > wantValidate || s.p99 > wantSlowest)
	return nil
}

// podWebhook measures the admission of pods, first by itself, then while edits go to the whole fleet.
func (b *bench) podWebhook(ctx context.Context, f *fleet, where, namespace string) error {
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "bench", Namespace: namespace, Annotations: map[string]string{"bearerguard.dev/inject": "enabled"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app", Ports: []corev1.ContainerPort{{ContainerPort: 18080}}}}},
	}
	ask := func() (time.Duration, error) {
		return b.controller.ask(ctx, "/mutate-pods", metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, "pods", namespace, pod)
	}
	var quiet, busy []time.Duration
	for range 300 {
		d, err := ask()
		if err != nil {
			return err
		}
		quiet = append(quiet, d)
	}
	for i := range 5 {
		generation, err := b.edit(ctx, namespace, "p0", 100+i)
		if err != nil {
			return err
		}
		done := make(chan error, 1)
		go func() {
			_, err := f.wait(question{Namespace: namespace, What: "p0", Least: generation})
			done <- err
		}()
		for over := false; !over; {
			d, err := ask()
			if err != nil {
				return err
			}
			busy = append(busy, d)
			select {
			case err := <-done:
				if err != nil {
					return err
				}
				over = true
			default:
			}
		}
	}
	s := spread(quiet)
	row(where+"pod webhook, quiet", s.String(), "p99 < "+seconds(wantQuiet), s.p99 > wantQuiet)
	s = spread(busy)
	row(where+"pod webhook, while an edit goes to all", s.String(), "p99 < "+seconds(wantBusy), s.p99 > wantBusy)
	return nil
}
