package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/bearerguard/bearerguard/hack/freeport"
)

// controller is the real program. It acts with the rights that the chart gives it.
type controller struct {
	binary, dir, log      string
	webhook, push, health int // ports
	metrics, events       int
	client                *http.Client
	token                 string // of who may read metrics
	cmd                   *exec.Cmd
	ended                 chan struct{}
}

func (b *bench) prepareController(ctx context.Context, dir string) (*controller, error) {
	hooks := b.cluster.env.WebhookInstallOptions
	c := &controller{binary: b.controllerBinary(), dir: dir, log: b.log, webhook: hooks.LocalServingPort}
	for _, port := range []*int{&c.push, &c.health, &c.metrics, &c.events} {
		var err error
		if *port, err = freeport.Get(ctx); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(hooks.LocalServingCertDir, "ca.crt"), hooks.LocalServingCAData, 0o600); err != nil {
		return nil, err
	}
	user, err := b.cluster.env.AddUser(envtest.User{
		Name: account, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + system, "system:authenticated"},
	}, nil)
	if err != nil {
		return nil, err
	}
	config, err := user.KubeConfig()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "kubeconfig"), config, 0o600); err != nil {
		return nil, err
	}
	c.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the tool has made the certificate
		MaxIdleConnsPerHost: 16,
	}}
	c.token, err = b.metricsToken(ctx)
	return c, err
}

// start starts the program and waits until it is ready.
func (c *controller) start(ctx context.Context, hooks *envtest.WebhookInstallOptions) error {
	c.cmd = exec.Command(c.binary, //nolint:gosec,noctx // the binary to measure; stop ends it
		"--namespace", system, "--leader-elect=false", "--webhook-port", strconv.Itoa(c.webhook), "--push-port", strconv.Itoa(c.push),
		"--events-port", strconv.Itoa(c.events),
		"--metrics-bind-address", fmt.Sprintf("127.0.0.1:%d", c.metrics), "--health-probe-bind-address", fmt.Sprintf("127.0.0.1:%d", c.health),
		"--certs", "cert-manager", "--cert-dir", hooks.LocalServingCertDir, "--sidecar-image", "bearerguard.local/bearerguard:dev",
		"--log-level", "error")
	c.cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(c.dir, "kubeconfig"), "POD_NAMESPACE="+system, "POD_IP=127.0.0.1")
	c.cmd.Stderr = os.Stderr
	if c.log != "" {
		f, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		c.cmd.Stderr = f
	}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	c.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { _ = cmd.Wait(); close(ended) }(c.cmd, c.ended)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		select {
		case <-c.ended:
			return errors.New("the controller has ended")
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		res, err := c.client.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", c.health)) //nolint:noctx // has a time limit
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.New("the controller is not ready after a minute")
}

// stop ends the program as the kubelet does.
func (c *controller) stop() {
	if c == nil || c.cmd == nil || c.cmd.Process == nil {
		return
	}
	_ = c.cmd.Process.Signal(os.Interrupt)
	select {
	case <-c.ended:
	case <-time.After(15 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}

func (c *controller) process() process { return process(c.cmd.Process.Pid) }

// gauge reads one of the program's metrics, the sum over its labels; some are named whole, as name{label="value"}.
func (c *controller) gauge(ctx context.Context, names ...string) ([]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/metrics", c.metrics), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		return nil, fmt.Errorf("metrics: %s: %s", res.Status, text)
	}
	out := make([]float64, len(names))
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if i := strings.LastIndexByte(lines.Text(), ' '); i > 0 {
			name, value = lines.Text()[:i], lines.Text()[i+1:]
		}
		bare, _, _ := strings.Cut(name, "{")
		for i, want := range names {
			if name == want || bare == want {
				f, _ := strconv.ParseFloat(value, 64)
				out[i] += f
			}
		}
	}
	return out, lines.Err()
}
