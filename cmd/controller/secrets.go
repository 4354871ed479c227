package main

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// secretsReader returns what asks the API server whether the controller may read a Secret. Everybody may ask that of himself.
func secretsReader(kube *rest.Config) (func(ctx context.Context, namespace, secret string) (bool, error), error) {
	clients, err := kubernetes.NewForConfig(kube)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, namespace, secret string) (bool, error) {
		answer, err := clients.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Resource: "secrets", Name: secret, Verb: "get",
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return answer.Status.Allowed, nil
	}, nil
}
