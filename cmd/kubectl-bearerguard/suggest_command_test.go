package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/exit"
	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// attempt is a request, and whether it is to be let in by what is suggested.
type attempt struct {
	method, path string
	token        string
	want         int
}

// sidecarLog runs the real sidecar with the policies of a directory, makes requests, and returns its log; wrong answers are errors if
// enforced says that it refuses.
func sidecarLog(t *testing.T, program, dir, namespace string, enforced bool, all []attempt) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer app.Close()
	at := [2]string{freeport.For(t), freeport.For(t)}
	var log bytes.Buffer
	cmd := exec.Command(program, "run", "--policies", dir, "--namespace", namespace, "--listen", at[0], "--admin", at[1], "--upstream", app.URL, "--log-scopes")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(syscall.SIGTERM) // it writes all of its log, which a kill would not let it
			_ = cmd.Wait()
		}
	}
	defer end()
	awaitReady(t, at[1], func() string { end(); return log.String() })
	for _, a := range all {
		r, err := http.NewRequestWithContext(t.Context(), a.method, "http://"+at[0]+a.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if a.token != "" {
			r.Header.Set("Authorization", "Bearer "+a.token)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		want := http.StatusOK
		if enforced {
			want = a.want
		}
		if answer.StatusCode != want {
			t.Errorf("enforced %t: %s %s: %d; want %d", enforced, a.method, a.path, answer.StatusCode, want)
		}
	}
	end()
	return log.String()
}

func awaitReady(t *testing.T, admin string, said func() string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if r, err := http.Get("http://" + admin + "/readyz"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-deadline:
			t.Fatalf("the sidecar is not ready:\n%s", said())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// The whole way: a policy without rules in mode Audit sees what there is, its log makes rules, and with these enforced the same requests
// pass, and others do not.
func TestSuggestFromARealSidecar(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "sidecar")
	if out, err := exec.Command("go", "build", "-o", program, "../sidecar").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	issuer, now := gatetest.NewIssuer("https://corp.example", "one"), time.Now()
	token := func(scope string) string {
		return issuer.Token(now, map[string]any{"scope": scope, "sub": "canary-4f1b"})
	}
	reader, writer := token("openid orders.read"), token("openid orders.read orders.write")
	seen := []attempt{
		{"GET", "/orders", reader, 200}, {"GET", "/orders/7?q=1", reader, 200}, {"GET", "/orders/8", writer, 200}, {"GET", "/orders/export", writer, 200},
		{"POST", "/orders", writer, 200}, {"PUT", "/carts/0f7c2a3e-90c8-4d3e-b9d5-1234567890ab/items/1", writer, 200},
		{"GET", "/healthz", "", 401}, {"GET", "/orders", issuer.Token(now.Add(-3*time.Hour), nil), 401},
	}
	others := []attempt{
		{"GET", "/orders/9", reader, 200}, {"GET", "/orders/export", reader, 403}, {"DELETE", "/orders/7", writer, 403}, {"POST", "/orders", reader, 403},
		{"GET", "/admin", writer, 403}, {"GET", "/orders/7", "", 401},
	}
	ns := "shop"
	live := os.Getenv("KUBEBUILDER_ASSETS") != ""
	if live {
		atCluster(t)
		ns = newNamespace(t)
	}
	dir := t.TempDir()
	keys := `{apiVersion: v1, kind: ConfigMap, metadata: {name: corp, namespace: ` + ns + `}, data: {jwks.json: '` + issuer.JWKS() + `'}}`
	audit := "apiVersion: bearerguard.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: orders, namespace: " + ns + "}\nspec:\n  mode: Audit\n  networkPolicy: true\n" +
		"  selector: {matchLabels: {app: orders}}\n  issuers: [{name: corp, issuer: \"" + issuer.URL + "\", audiences: [orders], keys: {configMapRef: {name: corp, key: jwks.json}}}]\n"
	file := filepath.Join(dir, "policy.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text+"---\n"+keys), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(audit)
	log := sidecarLog(t, program, dir, ns, false, seen)
	if strings.Contains(log, "canary") {
		t.Errorf("the log has a claim's value:\n%s", log)
	}
	logFile := filepath.Join(t.TempDir(), "sidecar.log")
	if err := os.WriteFile(logFile, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := run(t, "suggest", "-f", file, "--log", logFile)
	if !errors.Is(err, exit.ErrNo) || !strings.Contains(said, "GET /healthz: no token") || !strings.Contains(said, "mode: Audit") || !strings.Contains(said, "networkPolicy: true") {
		t.Fatalf("%v\n%s\n%s", err, said, log)
	}
	if live {
		suggestAtLive(t, ns, log, said)
	}
	suggestion, _, _ := strings.Cut(said[strings.Index(said, "---\n"):], "\n8 lines about") // what stands on standard error
	write(strings.Replace(suggestion, "mode: Audit", "mode: Enforce", 1) + "\n")
	sidecarLog(t, program, dir, ns, true, slices.Concat(seen, others))
	if said, err := run(t, "lint", "-f", file); err != nil {
		t.Errorf("lint: %v\n%s", err, said)
	}
}

// suggestAtLive asks for the same of a workload in a cluster.
func suggestAtLive(t *testing.T, ns, log, want string) {
	t.Helper()
	newDeployment(t, ns, "orders")
	for i := range 2 {
		name := fmt.Sprint("orders-", i)
		newPod(t, ns, name, "orders", "127.0.0.1:1")
		live.mu.Lock()
		live.logs[ns+"/"+name] = log
		live.mu.Unlock()
	}
	create(t, &v1alpha1.AuthPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "orders"},
		Spec: v1alpha1.AuthPolicySpec{Selector: policy.Selector{MatchLabels: map[string]string{"app": "orders"}}, NetworkPolicy: true, Spec: policy.Spec{
			Mode: policy.Audit, Issuers: []policy.Issuer{{Name: "corp", Issuer: "https://corp.example", Audiences: []string{"orders"}, Keys: policy.KeySource{ConfigMapRef: &policy.KeyRef{Name: "corp", Key: "jwks.json"}}}},
		}},
	})
	said, err := atLive(t, "suggest", "deploy/orders", "-n", ns)
	if !errors.Is(err, exit.ErrNo) || !strings.Contains(said, "16 lines about "+ns+"/orders") || !strings.Contains(said, "networkPolicy: true") {
		t.Errorf("%v\n%s", err, said)
	}
	for _, rule := range []string{"/orders/{id}", "scopes: [orders.read, orders.write]", "notPaths: [/orders/export]"} {
		if !strings.Contains(want, rule) || !strings.Contains(said, rule) {
			t.Errorf("%s is missing:\n%s\n%s", rule, want, said)
		}
	}
}

func TestSuggestFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := func(name, spec string) string {
		return "apiVersion: bearerguard.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: " + name + "}\nspec: " + spec + "\n---\n"
	}
	const issuers = `issuers: [{name: a, issuer: "https://a.example", audiences: [a], keys: {discovery: {}}}]`
	log := file("log", "{}\n")
	for want, args := range map[string][]string{
		"want a workload":           {},
		"--log with its log":        {"-f", "x"},
		"go without a workload":     {"deploy/orders", "--log", log},
		"is in mode Enforce":        {"-f", file("enforce", one("a", "{"+issuers+"}")), "--log", log},
		"has no issuers":            {"-f", file("bare", one("a", "{mode: Audit}")), "--log", log},
		"there are several":         {"-f", file("two", one("a", "{mode: Audit, "+issuers+"}")+one("b", "{mode: Audit, "+issuers+"}")), "--log", log},
		"there is no AuthPolicy c;": {"-f", file("again", one("a", "{mode: Audit, "+issuers+"}")), "--log", log, "--policy", "c"},
		"none of 1 lines is about":  {"-f", file("good", one("a", "{mode: Audit, "+issuers+"}")), "--log", log},
		"no such file":              {"-f", file("fine", one("a", "{mode: Audit, "+issuers+"}")), "--log", "none"},
	} {
		if said, err := run(t, append([]string{"suggest"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q\n%s", args, err, want, said)
		}
	}
}
