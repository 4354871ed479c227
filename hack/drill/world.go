package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"
)

// Where things are in the node.
const (
	keyAddress = "172.30.0.1:9443"
	system     = "bearerguard-system"
	shop       = "shop"
	replicas   = 4
)

// world is the cluster with an app, a policy, an identity provider and the traffic.
type world struct {
	quick   bool
	keys    *keyServer
	signer  *signerBox
	api     dynamic.Interface
	revoked string // a token that is revoked from the start
	load    *load
	lies    []string
	checked int
}

// newWorld installs all that the cases need.
func newWorld(ctx context.Context, quick bool) (*world, error) {
	w := &world{quick: quick, signer: &signerBox{}}
	w.signer.set(newSigner("one"))
	var err error
	if w.api, err = newAPI(); err != nil {
		return nil, err
	}
	if w.keys, err = startKeyServer(keyAddress); err != nil {
		return nil, err
	}
	w.keys.publish(w.signer.get())
	if err := w.build(ctx); err != nil {
		return nil, err
	}
	ip, err := w.get(ctx, shop, "svc/orders", ".spec.clusterIP")
	if err != nil {
		return nil, err
	}
	w.load = newLoad("http://"+ip+"/orders", w.kinds())
	return w, nil
}

func (w *world) close() {
	if w.load != nil {
		w.load.close()
	}
	w.keys.close()
}

// kinds are a valid token and eight that are not.
func (w *world) kinds() []kind {
	stranger, old := newSigner("one"), w.signer.get()
	valid := func() string { return w.signer.get().token(claims()) }
	kept := old.token(claims())
	return []kind{
		{name: "valid, new", valid: true, token: valid, workers: 2},
		{name: "valid, known", valid: true, token: func() string { return w.signer.known(kept) }, workers: 2, kept: true},
		{name: "none", token: func() string { return "" }, workers: 1},
		{name: "garbage", token: func() string { return "ey.garbage" }, workers: 1},
		{name: "expired", token: func() string {
			return w.signer.get().token(with(claims(), "exp", time.Now().Add(-5*time.Minute).Unix()))
		}, workers: 1},
		{name: "wrong audience", token: func() string { return w.signer.get().token(with(claims(), "aud", "billing")) }, workers: 1},
		{name: "wrong signature", token: func() string { return stranger.token(claims()) }, workers: 1},
		{name: "wrong issuer", token: func() string { return w.signer.get().token(with(claims(), "iss", "https://evil.example")) }, workers: 1},
		{name: "alg none", token: func() string { return unsigned(claims()) }, workers: 1},
		{name: "revoked", token: func() string { return w.revoked }, workers: 1, kept: true},
	}
}

// fault says that the trouble begins now.
func (w *world) fault() { w.load.mark() }

// told notes that the status was looked at, and what it should have said if it did not.
func (w *world) told(err error) {
	w.checked++
	if err != nil {
		w.lies = append(w.lies, "status: "+err.Error())
	}
}

// patience is short in the quick half.
func (w *world) patience(full, quick time.Duration) time.Duration {
	if w.quick {
		return quick
	}
	return full
}

// run runs a command and returns its output, trimmed; both streams are in an error.
func command(ctx context.Context, input, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...) //nolint:gosec // commands of the cases
	c.Stdin = strings.NewReader(input)
	var out, problem bytes.Buffer
	c.Stdout, c.Stderr = &out, &problem
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(problem.String()+out.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

func (w *world) kubectl(ctx context.Context, args ...string) (string, error) {
	return command(ctx, "", "kubectl", args...)
}

func (w *world) apply(ctx context.Context, manifest string) error {
	_, err := command(ctx, manifest, "kubectl", "apply", "-f", "-")
	return err
}

// get reads fields of an object: a JSONPath without braces.
func (w *world) get(ctx context.Context, namespace, object, path string) (string, error) {
	return w.kubectl(ctx, "-n", namespace, "get", object, "-o", "jsonpath={"+path+"}")
}

// condition returns "True/Reason: message" of a condition of an object in the app's namespace.
func (w *world) condition(ctx context.Context, object, kind string) string {
	at := ".status.conditions[?(@.type=='" + kind + "')]"
	out, err := w.kubectl(ctx, "-n", shop, "get", object, "-o", "jsonpath={"+at+".status}/{"+at+".reason}: {"+at+".message}")
	if err != nil {
		return err.Error()
	}
	return out
}

// says waits until a condition begins with want, and returns an error that tells what it says instead.
func (w *world) says(ctx context.Context, object, kind, want string, limit time.Duration) error {
	got := ""
	if eventually(ctx, limit, func() bool {
		got = w.condition(ctx, object, kind)
		return strings.HasPrefix(got, want)
	}) {
		return nil
	}
	return fmt.Errorf("%s of %s is %q; want %s within %s", kind, object, clip(got, 300), want, limit)
}

// eventually polls until ok, for limit at most.
func eventually(ctx context.Context, limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); ; {
		if ok() {
			return true
		}
		if time.Now().After(end) || !pause(ctx, 200*time.Millisecond) {
			return false
		}
	}
}

// pause waits, and reports whether there is reason to go on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}

// build installs the chart, the app, its policy and the revocation, or brings back what of them is gone.
func (w *world) build(ctx context.Context) error {
	if err := w.install(ctx); err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "get", "namespace", shop); err != nil {
		if _, err := w.kubectl(ctx, "create", "namespace", shop); err != nil {
			return err
		}
	}
	if !eventually(ctx, 30*time.Second, func() bool { _, err := w.kubectl(ctx, "-n", shop, "get", "sa", "default"); return err == nil }) {
		return errors.New("namespace shop has no service account")
	}
	if err := w.apply(ctx, secret("corp-ca", "ca.crt", w.keys.ca)); err != nil {
		return err
	}
	if w.revoked == "" {
		w.revoked = w.signer.get().token(with(claims(), "jti", "drilled"))
	}
	var err error
	if !eventually(ctx, time.Minute, func() bool { err = w.apply(ctx, policy(w.keys.url)+revocation("drill", "drilled")); return err == nil }) {
		return err
	}
	if err := w.apply(ctx, app); err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "-n", shop, "annotate", "--overwrite", "deploy/orders", "bearerguard.dev/inject=enabled"); err != nil {
		return err
	}
	_, err = w.kubectl(ctx, "-n", shop, "rollout", "status", "deploy/orders", "--timeout=110s")
	return err
}

func (w *world) install(ctx context.Context, more ...string) error {
	return w.installAs(ctx, "bearerguard", system, more...)
}

func (w *world) installAs(ctx context.Context, release, namespace string, more ...string) error {
	args := append([]string{"upgrade", "--install", release, "charts/bearerguard", "-n", namespace, "--create-namespace",
		"--wait", "--timeout", "100s", "--set", "image.repository=bearerguard.local/bearerguard", "--set", "image.tag=dev"}, more...)
	_, err := command(ctx, "", "helm", args...)
	return err
}

// heal waits until all is well, and builds anew what does not come back by itself.
func (w *world) heal(ctx context.Context) error {
	err := w.well(ctx, 90*time.Second)
	if err == nil {
		return nil
	}
	if err := w.build(ctx); err != nil {
		return err
	}
	return w.well(ctx, 90*time.Second)
}

// well waits until both controllers and all pods are there, the policy is Ready, and valid requests pass.
func (w *world) well(ctx context.Context, limit time.Duration) error {
	problem := ""
	if eventually(ctx, limit, func() bool { problem = w.unwell(ctx); return problem == "" }) {
		return nil
	}
	return errors.New(problem)
}

func (w *world) unwell(ctx context.Context) string {
	if n, err := w.get(ctx, system, "deploy/bearerguard-controller", ".status.availableReplicas"); err != nil || n != "2" {
		return fmt.Sprintf("%s controllers are available (%v)", n, err)
	}
	pods, err := w.kubectl(ctx, "-n", shop, "get", "pods", "-l", "app=orders", "-o",
		"jsonpath={range .items[*]}{.spec.initContainers[*].name} ready={.status.conditions[?(@.type=='Ready')].status} {.metadata.deletionTimestamp}{'\\n'}{end}")
	if err != nil {
		return err.Error()
	}
	if n := strings.Count(pods, "bearerguard"); strings.Count(pods, "ready=True") != replicas || len(strings.Split(pods, "\n")) != replicas || n < replicas {
		return "pods: " + strings.ReplaceAll(pods, "\n", "; ")
	}
	if c := w.condition(ctx, "authpolicy/orders", "Ready"); !strings.HasPrefix(c, "True/") {
		return "Ready is " + clip(c, 300)
	}
	w.load.begin()
	pause(ctx, time.Second)
	if t := w.load.end(); t.valid == 0 || t.refused+t.dropped+t.allowed > 0 {
		return fmt.Sprintf("of %d valid requests %d were refused and %d dropped; %d were wrongly allowed (%v)", t.valid, t.refused, t.dropped, t.allowed, t.sample)
	}
	return ""
}

// settle waits until no valid request has failed for three seconds.
func (w *world) settle(ctx context.Context) error {
	last, since := w.load.sofar(), time.Now()
	ok := eventually(ctx, time.Minute, func() bool {
		now := w.load.sofar()
		if now.refused != last.refused || now.dropped != last.dropped {
			last, since = now, time.Now()
		}
		return time.Since(since) > 3*time.Second
	})
	if !ok {
		return fmt.Errorf("valid requests still fail after a minute: %v", last.sample)
	}
	return nil
}

func secret(name, key string, value []byte) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\ndata: {%s: %s}\n---\n",
		name, shop, key, base64.StdEncoding.EncodeToString(value))
}
