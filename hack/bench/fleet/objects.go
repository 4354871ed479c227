package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const issuer = "https://login.example.com"

// policySpec is an AuthPolicy's spec with some rules.
func policySpec(selector map[string]any, keys map[string]any, rules int) map[string]any {
	list := make([]any, rules)
	for i := range list {
		list[i] = map[string]any{
			"name":  fmt.Sprintf("rule-%d", i),
			"match": []any{map[string]any{"paths": []any{fmt.Sprintf("/part-%d/{id}/**", i)}, "methods": []any{"GET", "POST"}}},
			"allow": map[string]any{"scopes": []any{fmt.Sprintf("part-%d.read", i)}},
		}
	}
	return map[string]any{
		"selector": map[string]any{"matchLabels": selector},
		"issuers":  []any{map[string]any{"name": "corp", "issuer": issuer, "audiences": []any{"orders"}, "keys": keys}},
		"rules":    list,
	}
}

func object(kind, namespace, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "bearerguard.dev/v1alpha1", "kind": kind,
		"metadata": map[string]any{"namespace": namespace, "name": name},
		"spec":     spec,
	}}
}

// jwks is a JWK Set of n new keys.
func jwks(n int) string {
	keys := make([]map[string]string, n)
	for i := range keys {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err) // never: see crypto/rand
		}
		point, err := k.PublicKey.Bytes()
		if err != nil {
			panic(err) // never: the curve is known
		}
		text := base64.RawURLEncoding.EncodeToString
		keys[i] = map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": fmt.Sprintf("k%d", i), "x": text(point[1:33]), "y": text(point[33:]),
		}
	}
	out, _ := json.Marshal(map[string]any{"keys": keys}) // strings
	return string(out)
}

// keySecret writes a Secret with n keys.
func (b *bench) keySecret(ctx context.Context, namespace string, n int) error {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "keys"}, StringData: map[string]string{"jwks": jwks(n)}}
	secrets := b.cluster.clients.CoreV1().Secrets(namespace)
	if _, err := secrets.Create(ctx, s, metav1.CreateOptions{}); client.IgnoreAlreadyExists(err) != nil || err == nil {
		return err
	}
	_, err := secrets.Update(ctx, s, metav1.UpdateOptions{})
	return err
}

var secretKeys = map[string]any{"secretRef": map[string]any{"name": "keys", "key": "jwks"}}

// edit changes the path of a policy's first rule and returns its generation.
func (b *bench) edit(ctx context.Context, namespace, name string, turn int) (int64, error) {
	patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/rules/0/match/0/paths/0","value":"/edit-%d/**"}]`, turn)
	o := object("AuthPolicy", namespace, name, nil)
	err := b.cluster.client.Patch(ctx, o, client.RawPatch(types.JSONPatchType, []byte(patch)))
	return o.GetGeneration(), err
}

// revocations is a TokenRevocation's spec of n tokens.
func revocations(prefix string, n int) map[string]any {
	entries := make([]any, n)
	for i := range entries {
		entries[i] = map[string]any{"jti": fmt.Sprintf("%s-%s-%07d", prefix, strings.Repeat("x", 8), i), "expiresAt": "2099-01-01T00:00:00Z"}
	}
	return map[string]any{"issuer": issuer, "entries": entries}
}
