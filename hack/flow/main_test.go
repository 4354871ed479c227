package flow_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/hack/freeport"
)

const systemNamespace = "bearerguard-system"

// world is what the tests share: an API server and, in front of it, the real controller.
var world struct {
	env      *envtest.Environment
	client   client.Client
	bin      string
	pushAddr string
	ca       string // file
	events   string // where identity providers post to

	kubeconfig         string
	push, health, port int    // ports of the controller, the same when it starts again
	stop               func() // ends the controller
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if os.Getenv("CI") != "" {
			fmt.Fprintln(os.Stderr, "KUBEBUILDER_ASSETS is not set; `make test` sets it")
			return 1
		}
		fmt.Fprintln(os.Stderr, "skipped: KUBEBUILDER_ASSETS is not set; `make test` sets it")
		return 0
	}
	stop, err := setUp()
	defer stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "set up:", err)
		return 1
	}
	return m.Run()
}

// setUp starts everything; the function it returns stops what was started, also after an error.
func setUp() (stop func(), err error) {
	var stops []func()
	stop = func() {
		for i := len(stops) - 1; i >= 0; i-- {
			stops[i]()
		}
	}
	if world.bin, err = os.MkdirTemp("", "bearerguard-flow"); err != nil {
		return stop, err
	}
	stops = append(stops, func() { _ = os.RemoveAll(world.bin) })
	for _, name := range []string{"controller", "sidecar"} {
		build := exec.Command("go", "build", "-o", filepath.Join(world.bin, name), "../../cmd/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			return stop, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	world.env = &envtest.Environment{
		CRDDirectoryPaths:     []string{"../../config/crd"},
		ErrorIfCRDPathMissing: true,
		WebhookInstallOptions: envtest.WebhookInstallOptions{Paths: []string{"../../config/webhook"}},
	}
	config, err := world.env.Start()
	if err != nil {
		return stop, err
	}
	stops = append(stops, func() { _ = world.env.Stop() })
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return stop, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return stop, err
	}
	if world.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return stop, err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}}
	if err := world.client.Create(context.Background(), namespace); err != nil {
		return stop, err
	}
	if err := prepareController(); err != nil {
		return stop, err
	}
	stops = append(stops, func() { world.stop() })
	world.stop, err = startController()
	return stop, err
}

// prepareController makes what the controller starts with.
func prepareController() error {
	world.stop = func() {}
	hooks := world.env.WebhookInstallOptions
	world.ca = filepath.Join(hooks.LocalServingCertDir, "ca.crt")
	if err := os.WriteFile(world.ca, hooks.LocalServingCAData, 0o600); err != nil {
		return err
	}
	user, err := world.env.AddUser(envtest.User{Name: "controller", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return err
	}
	world.kubeconfig = filepath.Join(world.bin, "kubeconfig")
	world.push, world.health, world.port = freePort(), freePort(), freePort()
	world.pushAddr, world.events = fmt.Sprintf("127.0.0.1:%d", world.push), fmt.Sprintf("https://localhost:%d", world.port)
	return os.WriteFile(world.kubeconfig, kubeconfig, 0o600)
}

// restartController ends the controller and starts it anew.
func restartController(t *testing.T) {
	t.Helper()
	world.stop()
	var err error
	if world.stop, err = startController(); err != nil {
		t.Fatal(err)
	}
}

// startController runs the controller with certificates from files, as it does with cert-manager.
func startController() (stop func(), err error) {
	hooks := world.env.WebhookInstallOptions
	return start(func(err error) {
		fmt.Fprintln(os.Stderr, "the controller ended:", err)
	}, os.Stderr, append(os.Environ(), "KUBECONFIG="+world.kubeconfig, "POD_NAMESPACE="+systemNamespace), "controller",
		"--namespace", systemNamespace, "--leader-elect=false",
		"--webhook-port", fmt.Sprint(hooks.LocalServingPort), "--push-port", fmt.Sprint(world.push), "--events-port", fmt.Sprint(world.port),
		"--metrics-bind-address", "0", "--health-probe-bind-address", fmt.Sprintf("127.0.0.1:%d", world.health),
		"--certs", "cert-manager", "--cert-dir", hooks.LocalServingCertDir, "--sidecar-image", "bearerguard.local/bearerguard:dev",
		"--log-level", "error", "--key-allow-http", "--key-allow-nets", "127.0.0.0/8")
}

// start runs one of the built programs; stop ends it and waits. died is told if it ends before.
func start(died func(error), output io.Writer, env []string, name string, args ...string) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, filepath.Join(world.bin, name), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, output, output
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		return func() {}, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := cmd.Wait(); ctx.Err() == nil {
			died(err)
		}
	}()
	return func() { cancel(); <-ended }, nil
}

func freePort() int {
	port, err := freeport.Get(context.Background())
	if err != nil {
		panic(err)
	}
	return port
}
