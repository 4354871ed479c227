package flow_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

const issuerURL = "https://login.example.com"

// TestARequestFromPolicyToApp is the project's main job, but for the kubelet: a policy is applied, a pod goes in through
// the webhooks, its sidecar runs with what the mutated pod says, and answers follow the policy.
func TestARequestFromPolicyToApp(t *testing.T) {
	ns := newNamespace(t)
	key := newKey(t)
	policy := newPolicy(t, ns, key)
	create(t, policy)

	app := newApp(t)
	port := freePort()
	pod := newPod(ns, fmt.Sprintf("%d:%d", port, portOf(app.URL)))
	create(t, pod)
	sidecar := containerNamed(t, pod.Spec.InitContainers, "bearerguard")
	if sidecar.RestartPolicy == nil || *sidecar.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Errorf("restartPolicy = %v; want a native sidecar", sidecar.RestartPolicy)
	}
	state := t.TempDir()
	stop := startSidecar(t, pod, sidecar, state)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)

	eventually(t, "the sidecar has its policy", func() string { return get(t, url+"/docs/a", "") }, "200 GET /docs/a")
	token := key.token(t, map[string]any{"scope": "orders.read"})
	expect(t, "no token", get(t, url+"/orders", ""), "401")
	expect(t, "a token with the scope", get(t, url+"/orders", token), "200 GET /orders user=alice")
	expect(t, "a token without", get(t, url+"/orders", key.token(t, nil)), "403")
	expect(t, "another key's token", get(t, url+"/orders", newKey(t).token(t, nil)), "401")

	eventually(t, "the status says so", func() string { return conditions(t, policy) }, "Accepted=True Guarded=True Programmed=True Ready=True ResolvedRefs=True Saved=True 1/1")

	edit(t, policy, func() { policy.Spec.Rules[1].Allow.Scopes = []string{"orders.admin"} })
	eventually(t, "an edit changes answers", func() string { return get(t, url+"/orders", token) }, "403")
	edit(t, policy, func() { policy.Spec.Rules[1].Allow.Scopes = []string{"orders.read"} })
	eventually(t, "and back", func() string { return get(t, url+"/orders", token) }, "200")
	eventually(t, "the new generation is programmed", func() string { return conditions(t, policy) }, "Programmed=True")

	create(t, revocation(ns, "alice"))
	eventually(t, "a revocation bites", func() string { return get(t, url+"/orders", token) }, "401")

	stop()
	startSidecar(t, pod, sidecar, state)
	eventually(t, "a restarted sidecar remembers", func() string { return get(t, url+"/orders", token) }, "401")
}

func TestAMistakeIsRefusedByNameAtAdmission(t *testing.T) {
	ns := newNamespace(t)
	key := newKey(t)
	for what, c := range map[string]struct {
		change func(*v1alpha1.AuthPolicy)
		want   string
	}{
		"a capture that the template lacks": {
			func(p *v1alpha1.AuthPolicy) { p.Spec.Rules[1].Allow.When = "path.user == claims.sub" }, "spec.rules[1].allow.when",
		},
		"an expression that is not CEL": {
			func(p *v1alpha1.AuthPolicy) { p.Spec.Rules[1].Allow.When = "claims.sub ==" }, "spec.rules[1].allow.when",
		},
		"an issuer that there is not": {
			func(p *v1alpha1.AuthPolicy) { p.Spec.Rules[1].Allow.Issuers = []string{"corq"} }, "spec.rules[1].allow.issuers[0]",
		},
		"a clock skew of an hour": {
			func(p *v1alpha1.AuthPolicy) { p.Spec.Issuers[0].ClockSkew = duration(time.Hour) }, "spec.issuers[0].clockSkew",
		},
	} {
		policy := newPolicy(t, ns, key)
		c.change(policy)
		if err := world.client.Create(t.Context(), policy); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: err = %v; want one that names %s", what, err, c.want)
		}
	}
}

func TestAPodWithAMistakeInItsAnnotationsIsRefused(t *testing.T) {
	ns := newNamespace(t)
	pod := newPod(ns, "8080:eighteen")
	err := world.client.Create(t.Context(), pod)
	if err == nil || !strings.Contains(err.Error(), "bearerguard.dev/ports") {
		t.Errorf("err = %v; want one that names the annotation", err)
	}
}

// startSidecar runs the sidecar as the kubelet would, but for places that only a pod has: its files, the push service's
// name and the admin port.
func startSidecar(t *testing.T, pod *corev1.Pod, c corev1.Container, state string) (stop func()) {
	t.Helper()
	dir := t.TempDir()
	ca, err := os.ReadFile(world.ca)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ca.crt"), ca)
	write(t, filepath.Join(dir, "token"), []byte(podToken(t, pod)))
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		switch {
		case i > 0 && c.Args[i-1] == "--push":
			a = world.pushAddr
		case i > 0 && c.Args[i-1] == "--push-server-name":
			a = "localhost"
		case i > 0 && c.Args[i-1] == "--admin":
			a = fmt.Sprintf("127.0.0.1:%d", freePort())
		}
		a = strings.Replace(a, "/var/run/bearerguard", dir, 1)
		args[i] = strings.Replace(a, "/var/lib/bearerguard", state, 1)
	}
	env := []string{}
	for _, e := range c.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	stop, err = start(func(err error) { t.Errorf("the sidecar ended: %v", err) }, t.Output(), env, "sidecar", args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return stop
}

// podToken asks for the token that the kubelet would project.
func podToken(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences:      []string{"bearerguard"},
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Spec.ServiceAccountName}}
	if err := world.client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// newApp answers "GET /path user=NAME" with what it saw.
func newApp(t *testing.T) *httptest.Server {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
		if user := r.Header.Get("X-User"); user != "" {
			fmt.Fprintf(w, " user=%s", user)
		}
	}))
	t.Cleanup(app.Close)
	return app
}

type signingKey struct{ private, public jwk.Key }

func newKey(t *testing.T) signingKey {
	t.Helper()
	raw, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := jwk.FromRaw(raw)
	if err != nil {
		t.Fatal(err)
	}
	_ = private.Set(jwk.KeyIDKey, "k1")
	public, err := private.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{private, public}
}

func (k signingKey) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	b := jwt.NewBuilder().Issuer(issuerURL).Audience([]string{"orders"}).Subject("alice").Expiration(time.Now().Add(time.Hour))
	for name, v := range claims {
		b = b.Claim(name, v)
	}
	token, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.RS256, k.private))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func (k signingKey) jwks(t *testing.T) string {
	t.Helper()
	set := jwk.NewSet()
	if err := set.AddKey(k.public); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func newPolicy(t *testing.T, ns string, key signingKey) *v1alpha1.AuthPolicy {
	t.Helper()
	p := &v1alpha1.AuthPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "orders-"}}
	if err := yaml.UnmarshalStrict([]byte(`
selector: {matchLabels: {app: orders}}
issuers:
- {name: corp, issuer: "`+issuerURL+`", audiences: [orders], keys: {jwks: "x"}}
rules:
- name: docs
  match: [{paths: ["/docs/**"]}]
  allow: {anonymous: true}
- name: read
  match: [{paths: ["/orders"], methods: [GET]}]
  allow: {scopes: [orders.read]}
forward:
  headers: [{name: X-User, claim: sub}]
`), &p.Spec); err != nil {
		t.Fatal(err)
	}
	p.Spec.Issuers[0].Keys.JWKS = key.jwks(t)
	return p
}

func newPod(ns, ports string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: "orders-1", Labels: map[string]string{"app": "orders"},
			Annotations: map[string]string{
				v1alpha1.AnnotationInject: "enabled", v1alpha1.AnnotationCapture: "ports", v1alpha1.AnnotationPorts: ports,
			},
		},
		Spec: corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "app", Image: "app"}}},
	}
}

func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "flow-"}}
	create(t, ns)
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "default"}})
	return ns.Name
}

// create retries while the controller's webhooks are not up yet.
func create(t *testing.T, o client.Object) {
	t.Helper()
	var err error
	poll(t, func() bool {
		err = world.client.Create(t.Context(), o)
		return err == nil || !strings.Contains(err.Error(), "failed calling webhook")
	})
	if err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, p *v1alpha1.AuthPolicy, change func()) {
	t.Helper()
	if err := world.client.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
		t.Fatal(err)
	}
	before := p.DeepCopy()
	change()
	if err := world.client.Patch(t.Context(), p, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// get returns "CODE BODY", or the error.
func get(t *testing.T, url, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}

func portOf(url string) int {
	var port int
	_, _ = fmt.Sscanf(url[strings.LastIndex(url, ":"):], ":%d", &port)
	return port
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
