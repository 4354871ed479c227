package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// bench is the API server, the controller and what is kept from scenario to scenario.
type bench struct {
	options

	dir        string
	cluster    *cluster
	controller *controller
	fleets     int
}

func (b *bench) controllerBinary() string { return b.options.controller }

func (b *bench) start(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "fleet"); err != nil {
		return err
	}
	if b.cluster, err = startCluster(ctx, b.assets); err != nil {
		return err
	}
	if b.controller, err = b.prepareController(ctx, b.dir); err != nil {
		return err
	}
	return b.controller.start(ctx, &b.cluster.env.WebhookInstallOptions)
}

func (b *bench) stop() {
	b.controller.stop()
	if b.cluster != nil {
		_ = b.cluster.env.Stop()
	}
	_ = os.RemoveAll(b.dir)
}

// restart ends the controller and starts it anew.
func (b *bench) restart(ctx context.Context) error {
	b.controller.stop()
	return b.controller.start(ctx, &b.cluster.env.WebhookInstallOptions)
}

// metricsToken makes an account that may read metrics.
func (b *bench) metricsToken(ctx context.Context) (string, error) {
	_, err := b.cluster.clients.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "bench-metrics"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: system, Name: "default"}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	r, err := b.cluster.clients.CoreV1().ServiceAccounts(system).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return r.Status.Token, nil
}

// fleet is a process of sidecars.
type fleet struct {
	size  int
	began time.Time
	cmd   *exec.Cmd
	in    *json.Encoder
	out   *bufio.Scanner
	close func() error
}

// launch starts a sidecar for each pod.
func (b *bench) launch(ctx context.Context, pods []*corev1.Pod) (*fleet, error) {
	b.fleets++
	dir := filepath.Join(b.dir, "fleet"+strconv.Itoa(b.fleets))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	c := crew{
		Address: "127.0.0.1:" + strconv.Itoa(b.controller.push),
		CAFile:  filepath.Join(b.cluster.env.WebhookInstallOptions.LocalServingCertDir, "ca.crt"),
	}
	accounts := map[string]string{}
	for i, pod := range pods {
		uid, ok := accounts[pod.Namespace]
		if !ok {
			sa, err := b.cluster.clients.CoreV1().ServiceAccounts(pod.Namespace).Get(ctx, "default", metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			uid = string(sa.UID)
			accounts[pod.Namespace] = uid
		}
		token, err := b.cluster.token(pod, uid)
		if err != nil {
			return nil, err
		}
		m := member{Namespace: pod.Namespace, TokenFile: filepath.Join(dir, strconv.Itoa(i))}
		if err := os.WriteFile(m.TokenFile, []byte(token), 0o600); err != nil {
			return nil, err
		}
		c.Members = append(c.Members, m)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "crew"), text, 0o600); err != nil {
		return nil, err
	}
	return startFleet(filepath.Join(dir, "crew"), len(pods))
}

func startFleet(file string, size int) (*fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "sidecars", file) //nolint:gosec,noctx // this program; it ends with its standard input
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f := &fleet{size: size, cmd: cmd, in: json.NewEncoder(in), out: bufio.NewScanner(out), close: in.Close, began: time.Now()}
	return f, cmd.Start()
}

func (f *fleet) stop() {
	if f == nil || f.cmd.Process == nil {
		return
	}
	_ = f.close()
	_ = f.cmd.Process.Kill()
	_ = f.cmd.Wait()
}

func (f *fleet) process() process { return process(f.cmd.Process.Pid) }

// wait waits until every sidecar that the question is about has it.
func (f *fleet) wait(q question) (answer, error) {
	if q.Timeout == 0 {
		q.Timeout = 3 * time.Minute
	}
	var a answer
	if err := f.in.Encode(q); err != nil {
		return a, err
	}
	if !f.out.Scan() {
		return a, fmt.Errorf("the process of the sidecars has ended: %w", f.out.Err())
	}
	if err := json.Unmarshal(f.out.Bytes(), &a); err != nil {
		return a, err
	}
	return a, a.all()
}

// connected waits until the controller has as many streams as there are sidecars.
func (b *bench) connected(ctx context.Context, n int) error {
	last := 0.0
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		v, err := b.controller.gauge(ctx, "bearerguard_push_streams")
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue // it may be too busy to answer
		}
		if last = v[0]; last >= float64(n) {
			return nil
		}
	}
	return fmt.Errorf("%.0f of %d sidecars are connected", last, n)
}

// splitDocuments returns the documents of a manifest.
func splitDocuments(text []byte) iter.Seq[[]byte] { return bytes.SplitSeq(text, []byte("\n---\n")) }
