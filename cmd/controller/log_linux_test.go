package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/bearerguard/bearerguard/hack/apiserver"
	"github.com/bearerguard/bearerguard/hack/freeport"
)

// asController has this test binary be the controller.
const asController = "BEARERGUARD_TEST_CONTROLLER"

// patience is how long a test waits for what is to come.
const patience = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asController) != "" {
		os.Exit(execute())
	}
	os.Exit(m.Run())
}

// apiServer starts one and returns a client and a kubeconfig. Without its binaries the test is skipped, but fails where CI=true.
func apiServer(t *testing.T) (clients kubernetes.Interface, kubeconfig string) {
	t.Helper()
	assets := apiserver.Assets(t)
	env := &envtest.Environment{BinaryAssetsDirectory: assets, CRDDirectoryPaths: []string{"../../config/crd"}, ErrorIfCRDPathMissing: true}
	conf, err := env.Start()
	if err != nil {
		t.Fatalf("start the API server: %v", err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	user, err := env.AddUser(envtest.User{Name: "controller", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := kubernetes.NewForConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	return own, kubeconfig
}

// replica is a controller of its own process.
type replica struct {
	metrics, health, webhooks string // addresses
	exited                    chan error
}

// startReplica starts one that writes its log to stderr.
func startReplica(t *testing.T, kubeconfig string, stderr *os.File) *replica {
	t.Helper()
	r := &replica{metrics: freeport.For(t), health: freeport.For(t), webhooks: freeport.For(t), exited: make(chan error, 1)}
	port := func(address string) string {
		_, port, _ := net.SplitHostPort(address)
		return port
	}
	cmd := exec.Command(os.Args[0], "--namespace", "default", "--sidecar-image", "bearerguard.local/bearerguard:dev", "--leader-elect", //nolint:gosec // itself
		"--webhook-port", port(r.webhooks), "--push-port", port(freeport.For(t)), "--debug-address", "0", "--metrics-bind-address", r.metrics, "--health-probe-bind-address", r.health)
	cmd.Env, cmd.Stderr = append(os.Environ(), asController+"=1", "KUBECONFIG="+kubeconfig), stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.exited <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return r
}

// startUnread starts a replica and returns it with both ends of the pipe that is its stderr.
func startUnread(t *testing.T, kubeconfig string) (r *replica, read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = read.Close(), write.Close() })
	return startReplica(t, kubeconfig, write), read, write
}

// fill fills a pipe.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	// Opened anew, so that what the other process has open does not change.
	full, err := os.OpenFile(filepath.Join("/proc/self/fd", fmt.Sprint(pipe.Fd())), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	if err := full.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = full.Write([]byte{'\n'})
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick, end := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not after %s: %s", patience, what)
		}
	}
}

func get(t *testing.T, url, token string) (code int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	c := http.Client{Timeout: patience / 4, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // its own certificate
	response, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// scraper returns a token of somebody who may read metrics.
func scraper(t *testing.T, clients kubernetes.Interface) string {
	t.Helper()
	ctx := t.Context()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "scraper"}}
	_, err := clients.CoreV1().ServiceAccounts("default").Create(ctx, account, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "scraper"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: "scraper"}},
	}
	if _, err := clients.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := clients.CoreV1().ServiceAccounts("default").CreateToken(ctx, "scraper", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

// TestALeaderWhoseLogNobodyReads fills the pipe of a leader's stderr and has another replica take its Lease. It ends, though it logs that
// it leads no more before it does.
func TestALeaderWhoseLogNobodyReads(t *testing.T) {
	t.Parallel()
	clients, kubeconfig := apiServer(t)
	token := scraper(t, clients)
	r, read, stderr := startUnread(t, kubeconfig)
	t.Cleanup(func() {
		if t.Failed() {
			_ = read.SetReadDeadline(time.Now().Add(time.Second))
			text, _ := io.ReadAll(read)
			t.Logf("its log: %s", text)
		}
	})
	leases := clients.CoordinationV1().Leases("default")
	eventually(t, "it serves and leads", func() bool {
		code, _ := get(t, "https://"+r.metrics+"/metrics", token)
		lease, err := leases.Get(t.Context(), leaseName, metav1.GetOptions{})
		return code == http.StatusOK && err == nil && lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != ""
	})
	fill(t, stderr)
	if _, metrics := get(t, "https://"+r.metrics+"/metrics", token); !strings.Contains(metrics, "\nbearerguard_log_lines_dropped_total 0\n") {
		t.Errorf("the metrics lack what the log has lost:\n%.500s", metrics)
	}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error { return takeLease(t.Context(), clients) })
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.exited:
		if err == nil {
			t.Error("it ended without an error")
		}
	case <-time.After(patience):
		t.Error("it goes on beside the next leader")
	}
}

// takeLease has another replica hold the Lease, for an hour.
func takeLease(ctx context.Context, clients kubernetes.Interface) error {
	leases := clients.CoordinationV1().Leases("default")
	lease, err := leases.Get(ctx, leaseName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	holder, seconds, now := "other_127.0.0.1:1", int32(3600), metav1.NowMicro()
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &holder, &seconds, &now
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}
