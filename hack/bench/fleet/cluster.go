package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"golang.org/x/sync/errgroup"
)

const (
	system   = "bearerguard-system"
	account  = "system:serviceaccount:" + system + ":bearerguard-controller"
	audience = "bearerguard"
)

// cluster is a real API server with its etcd.
type cluster struct {
	env     *envtest.Environment
	client  client.Client // of objects that it knows nothing about
	clients *kubernetes.Clientset
	server  process
	signer  crypto.Signer // the key that the API server signs service-account tokens with
	issuer  string
}

func startCluster(ctx context.Context, assets string) (*cluster, error) {
	c := &cluster{env: &envtest.Environment{
		BinaryAssetsDirectory: assets, CRDDirectoryPaths: []string{"config/crd"}, ErrorIfCRDPathMissing: true,
		WebhookInstallOptions: envtest.WebhookInstallOptions{Paths: []string{"config/webhook/webhooks.yaml"}},
	}}
	config, err := c.env.Start()
	if err != nil {
		return c, err
	}
	config = rest.CopyConfig(config)
	config.QPS = -1
	if c.client, err = client.New(config, client.Options{}); err != nil {
		return c, err
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	if c.clients, err = kubernetes.NewForConfig(config); err != nil {
		return c, err
	}
	if c.server, err = child("kube-apiserver"); err != nil {
		return c, err
	}
	server := c.env.ControlPlane.GetAPIServer()
	c.issuer = server.SecureServing.URL("https", "/").String()
	if c.signer, err = readKey(filepath.Join(server.CertDir, "sa-signer.key")); err != nil {
		return c, err
	}
	if err := c.namespace(ctx, system); err != nil {
		return c, err
	}
	return c, c.apply(ctx, "config/rbac/rbac.yaml")
}

func readKey(file string) (crypto.Signer, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the API server's own folder
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM in " + file)
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if s, ok := key.(crypto.Signer); ok {
			return s, nil
		}
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

// apply creates every object of a manifest.
func (c *cluster) apply(ctx context.Context, file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // one of the repository's
	if err != nil {
		return err
	}
	for doc := range splitDocuments(text) {
		var u unstructured.Unstructured
		if err := yaml.Unmarshal(doc, &u.Object); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if len(u.Object) == 0 {
			continue
		}
		if err := c.client.Create(ctx, &u); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// namespace creates a namespace with the service account that a controller-manager would make.
func (c *cluster) namespace(ctx context.Context, name string) error {
	_, err := c.clients.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err = c.clients.CoreV1().ServiceAccounts(name).Create(ctx, sa, metav1.CreateOptions{})
	return client.IgnoreAlreadyExists(err)
}

// pod creates a pod as one with a sidecar is.
func (c *cluster) pod(ctx context.Context, namespace, name string, labels map[string]string) (*corev1.Pod, error) {
	return c.clients.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: map[string]string{"bearerguard.dev/injected": "bench"}},
		Spec: corev1.PodSpec{
			ServiceAccountName: "default",
			Containers:         []corev1.Container{{Name: "app", Image: "app"}, {Name: "bearerguard", Image: "sidecar"}},
		},
	}, metav1.CreateOptions{})
}

// pods creates n pods in a namespace and returns them; labels are of the i-th.
func (c *cluster) pods(ctx context.Context, namespace string, n int, labels func(i int) map[string]string) ([]*corev1.Pod, error) {
	out := make([]*corev1.Pod, n)
	return out, parallel(ctx, n, func(ctx context.Context, i int) (err error) {
		out[i], err = c.pod(ctx, namespace, fmt.Sprintf("app-%05d", i), labels(i))
		return err
	})
}

// parallel calls do for 0 to n-1, some at a time.
func parallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(48)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// token is what the kubelet would fetch for a pod: the API server's own key has signed it.
func (c *cluster) token(pod *corev1.Pod, accountUID string) (string, error) {
	now := time.Now()
	claims := map[string]any{
		"iss": c.issuer, "aud": []string{audience}, "sub": "system:serviceaccount:" + pod.Namespace + ":default",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": string(pod.UID),
		"kubernetes.io": map[string]any{
			"namespace":      pod.Namespace,
			"pod":            map[string]any{"name": pod.Name, "uid": pod.UID},
			"serviceaccount": map[string]any{"name": "default", "uid": accountUID},
		},
	}
	return sign(c.signer, claims)
}

// sign signs a token as Kubernetes does: the key's id is a hash of the public key.
func sign(key crypto.Signer, claims any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", err
	}
	id := sha256.Sum256(der)
	algorithm := "RS256"
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		algorithm = "ES256"
	}
	encode := func(v any) string {
		text, _ := json.Marshal(v) // maps of strings and numbers
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := encode(map[string]string{"alg": algorithm, "kid": base64.RawURLEncoding.EncodeToString(id[:])}) + "." + encode(claims)
	digest := sha256.Sum256([]byte(text))
	signature, err := signDigest(key, digest[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func signDigest(key crypto.Signer, digest []byte) ([]byte, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, digest)
		if err != nil {
			return nil, err
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out, nil
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest)
	default:
		return nil, fmt.Errorf("the API server signs with a %T", key)
	}
}
