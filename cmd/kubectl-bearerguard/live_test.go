package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/admin"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/cluster"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/hack/apiserver"
	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// live is a real API server behind a front that stands in for kubelets: port-forwards and logs of pods come from it.
var live struct {
	once       sync.Once
	env        *envtest.Environment
	client     client.Client
	kubeconfig string
	dir        string
	sidecar    string // the real program
	err        error

	mu    sync.Mutex
	ports map[string]string      // guarded by mu: addresses that pods, "namespace/name", are forwarded to
	logs  map[string]string      // guarded by mu: of pods
	more  map[string]chan string // guarded by mu: what comes to the logs of pods while they are followed
}

// stopLive stops the API server, if there is one.
func stopLive() {
	if live.env != nil {
		_ = live.env.Stop() // the tests have had their say
	}
	_ = os.RemoveAll(live.dir)
}

// atCluster skips the test where there is no API server, and fails it where CI=true.
func atCluster(t *testing.T) {
	t.Helper()
	assets := apiserver.Assets(t)
	live.once.Do(func() {
		live.env = &envtest.Environment{BinaryAssetsDirectory: assets, CRDDirectoryPaths: []string{"../../config/crd"}, ErrorIfCRDPathMissing: true}
		live.ports, live.logs, live.more = map[string]string{}, map[string]string{}, map[string]chan string{}
		var conf *rest.Config
		if conf, live.err = live.env.Start(); live.err == nil {
			live.err = openLive(conf)
		}
	})
	if live.err != nil {
		t.Fatalf("start the API server: %v", live.err)
	}
}

func openLive(conf *rest.Config) error {
	scheme, err := cluster.Scheme()
	if err != nil {
		return err
	}
	if live.client, err = client.New(conf, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if live.dir, err = os.MkdirTemp("", "bearerguard"); err != nil {
		return err
	}
	transport, err := rest.TransportFor(conf)
	if err != nil {
		return err
	}
	server, err := url.Parse(conf.Host)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(server) }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !kubelet(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	live.kubeconfig = filepath.Join(live.dir, "config")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],`+
		`"users":[{"name":"u","user":{}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, front.URL)
	if err := os.WriteFile(live.kubeconfig, []byte(text), 0o600); err != nil {
		return err
	}
	live.sidecar = filepath.Join(live.dir, "sidecar")
	if out, err := exec.Command("go", "build", "-o", live.sidecar, "../sidecar").CombinedOutput(); err != nil {
		return fmt.Errorf("build the sidecar: %w\n%s", err, out)
	}
	return nil
}

var ofPod = regexp.MustCompile(`^/api/v1/namespaces/([^/]+)/pods/([^/]+)/(portforward|log)$`)

// kubelet answers what a kubelet would have to, and reports whether it did.
func kubelet(w http.ResponseWriter, r *http.Request) bool {
	m := ofPod.FindStringSubmatch(r.URL.Path)
	if m == nil {
		return false
	}
	live.mu.Lock()
	address, text, more := live.ports[m[1]+"/"+m[2]], live.logs[m[1]+"/"+m[2]], live.more[m[1]+"/"+m[2]]
	live.mu.Unlock()
	if m[3] == "log" {
		if r.URL.Query().Get("container") != inject.SidecarName {
			http.Error(w, "no such container", http.StatusBadRequest)
			return true
		}
		_, _ = io.WriteString(w, text)
		if r.URL.Query().Get("follow") == "true" {
			_ = http.NewResponseController(w).Flush()
			followed(w, r, more)
		}
		return true
	}
	forward(w, r, address)
	return true
}

// followed writes what comes until the client goes.
func followed(w http.ResponseWriter, r *http.Request, more chan string) {
	for {
		select {
		case <-r.Context().Done():
			return
		case text := <-more:
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// forward serves a port-forward by SPDY. A client that tries WebSockets first is told that there are none here.
func forward(w http.ResponseWriter, r *http.Request, address string) {
	if r.Method != http.MethodPost {
		http.Error(w, "no WebSockets here", http.StatusBadRequest)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 2)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer func() { _ = conn.Close() }()
	both := map[string]httpstream.Stream{}
	for range 2 {
		s := <-streams
		both[s.Headers().Get(corev1.StreamType)] = s
	}
	data, fault := both[corev1.StreamTypeData], both[corev1.StreamTypeError]
	to, err := net.Dial("tcp", address)
	if err != nil || !slices.Contains([]string{fmt.Sprint(inject.AdminPort), fmt.Sprint(admin.ControllerPort)}, data.Headers().Get(corev1.PortHeader)) {
		fmt.Fprintf(fault, "nobody listens there: %v", err)
		_ = fault.Close()
		<-conn.CloseChan()
		return
	}
	defer func() { _ = to.Close() }()
	_ = fault.Close()
	go func() { _, _ = io.Copy(to, data) }()
	_, _ = io.Copy(data, to)
	_ = data.Close()
	<-conn.CloseChan()
}

// atLive runs a command at the cluster and returns what it prints, but for its progress.
func atLive(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, _, err := atLiveToo(t, args...)
	return out, err
}

// atLiveToo is atLive with what goes to standard error.
func atLiveToo(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRoot("bearerguard", time.Now)
	root.SetArgs(slices.Insert(args, 1, "--kubeconfig", live.kubeconfig))
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetIn(strings.NewReader(""))
	err = root.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

// newNamespace makes a namespace.
func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	create(t, ns)
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "default"}})
	return ns.Name
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := live.client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// newPod makes a pod of an app, with a sidecar that runs if address is not empty: its admin port is there.
func newPod(t *testing.T, namespace, name, app, address string) *corev1.Pod {
	t.Helper()
	always := corev1.ContainerRestartPolicyAlways
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "app", Image: "app", Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
		}}},
	}
	if address != "" {
		pod.Labels[v1alpha1.LabelInjected] = "true"
		pod.Annotations = map[string]string{v1alpha1.AnnotationInjected: "0.1.0"}
		pod.Spec.InitContainers = []corev1.Container{{Name: inject.SidecarName, Image: "bearerguard", RestartPolicy: &always}}
	}
	create(t, pod)
	pod.Status.Phase = corev1.PodRunning
	if address != "" {
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{
			Name: inject.SidecarName, Ready: true, Image: "bearerguard", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}
	}
	if err := live.client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	live.mu.Lock()
	defer live.mu.Unlock()
	live.ports[namespace+"/"+name] = address
	return pod
}

// newDeployment makes a deployment of an app, which nobody makes pods for.
func newDeployment(t *testing.T, namespace, app string) {
	t.Helper()
	labels := map[string]string{"app": app}
	create(t, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}},
		}},
	})
}

// startSidecar runs the real sidecar before an app, by a policy for the role clerk. It returns its own address and its admin port's.
func startSidecar(t *testing.T, issuer *gatetest.Issuer) (url, admin string) {
	t.Helper()
	return startSidecarIn(t, issuer, "shop")
}

// startSidecarIn is startSidecar with the policy in a namespace of that name.
func startSidecarIn(t *testing.T, issuer *gatetest.Issuer, namespace string) (url, admin string) {
	t.Helper()
	dir := t.TempDir()
	policy := `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders, namespace: ` + namespace + `}
spec:
  issuers: [{name: corp, issuer: "` + issuer.URL + `", audiences: [orders], keys: {configMapRef: {name: corp, key: jwks.json}}}]
  rules:
  - {name: clerks, match: [{paths: ["/orders/**"]}], allow: {claims: [{claim: role, equals: clerk}]}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: corp, namespace: ` + namespace + `}, data: {jwks.json: '` + issuer.JWKS() + `'}}
`
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(app.Close)
	var log bytes.Buffer
	at := [2]string{freeport.For(t), freeport.For(t)}
	cmd := exec.Command(live.sidecar, "run", "--policies", dir, "--namespace", namespace, "--listen", at[0], "--admin", at[1], "--upstream", app.URL)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	end := time.After(20 * time.Second)
	for {
		if r, err := http.Get("http://" + at[1] + "/readyz"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return "http://" + at[0], at[1]
			}
		}
		select {
		case <-end:
			t.Fatal(errors.New("the sidecar is not ready"))
		case <-time.After(10 * time.Millisecond):
		}
	}
}
