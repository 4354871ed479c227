package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// program is the real binary, built once.
var program string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sidecar")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "sidecar")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds every wait of a test; none takes long unless it fails.
const patience = 20 * time.Second

// buffer is a log that is written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// process is a running sidecar.
type process struct {
	url, admin string
	log        *buffer
	cmd        *exec.Cmd
	exited     chan error
}

// start runs the sidecar in front of an app; with what else args say.
func start(t *testing.T, app string, args ...string) *process {
	t.Helper()
	listen, admin := freeport.For(t), freeport.For(t)
	p := &process{url: "http://" + listen, admin: "http://" + admin, log: &buffer{}, exited: make(chan error, 1)}
	p.cmd = exec.Command(program, append([]string{"run", "--listen", listen, "--upstream", app, "--admin", admin}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	p.eventually(t, "it is healthy", func() bool { return p.get(t, p.admin+"/healthz", "") == http.StatusOK })
	return p
}

func (p *process) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case err := <-p.exited:
			t.Fatalf("waiting until %s: the sidecar has ended: %v\n%s", what, err, p.log)
		case <-end:
			t.Fatalf("waiting until %s: in vain\n%s", what, p.log)
		case <-tick.C:
		}
	}
}

// fetch returns the status and the body; 0 if there is no answer.
func fetch(t *testing.T, url, token string) (int, string) {
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
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(body)
}

func (p *process) get(t *testing.T, url, token string) int {
	t.Helper()
	status, _ := fetch(t, url, token)
	return status
}

// newApp answers with the identity that it is told of.
func newApp(t *testing.T) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/moved":
			http.Redirect(w, r, "/broken", http.StatusFound)
		case "/away":
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		case "/host":
			if r.Host != "shop.example" || r.Header.Get("X-Probe") != "yes" {
				w.WriteHeader(http.StatusTeapot)
			}
		default:
			fmt.Fprintf(w, "hello %s", r.Header.Get("X-User"))
		}
	}))
	t.Cleanup(app.Close)
	return app.URL
}

// policyFor is a policy that lets a role in.
func policyFor(issuer *gatetest.Issuer, role string) string {
	return `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - name: corp
    issuer: ` + issuer.URL + `
    audiences: [orders]
    keys: {configMapRef: {name: corp, key: jwks.json}}
  rules:
  - name: role
    match: [{paths: ["/orders/**"]}]
    allow: {claims: [{claim: role, equals: ` + role + `}]}
  - name: public
    match: [{paths: [/public]}]
    allow: {anonymous: true}
  forward:
    headers: [{name: X-User, claim: sub}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: corp}
data:
  jwks.json: '` + issuer.JWKS() + `'
`
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStandalone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	write(t, dir, "orders.yaml", policyFor(issuer, "clerk"))
	p := start(t, newApp(t), "--policies", dir, "--log-level", "debug", "--log-allow-every", "1")
	if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusOK {
		t.Errorf("readyz = %d, want 200", got)
	}
	token := issuer.Token(time.Now(), map[string]any{"sub": "alice", "role": "clerk", "secret": "canary-claim"})
	orders := p.url + "/orders/7"
	for want, got := range map[string]int{
		"401 without a token":        p.get(t, orders, ""),
		"401 with a broken token":    p.get(t, orders, token+"x"),
		"403 outside of the rules":   p.get(t, p.url+"/other", token),
		"200 on a public path":       p.get(t, p.url+"/public", ""),
		"400 for a path that climbs": p.get(t, p.url+"/public/%2e%2e/%2e%2e/x", ""),
	} {
		if !strings.HasPrefix(want, fmt.Sprint(got)) {
			t.Errorf("got %d, want %s", got, want)
		}
	}
	if status, body := fetch(t, orders, token); status != http.StatusOK || body != "hello alice" {
		t.Errorf("with a token: %d %q, want 200 and alice", status, body)
	}

	write(t, dir, "orders.yaml", policyFor(issuer, "boss"))
	p.eventually(t, "the new rules refuse the clerk", func() bool { return p.get(t, orders, token) == http.StatusForbidden })

	write(t, dir, "orders.yaml", strings.Replace(policyFor(issuer, "clerk"), "claims:", "clams:", 1))
	p.eventually(t, "the mistake is logged", func() bool {
		return strings.Contains(p.log.String(), "orders.yaml:13: spec.rules[0].allow.clams: is not a known field")
	})
	if got := p.get(t, orders, token); got != http.StatusForbidden {
		t.Errorf("with a broken file: %d, want 403 by the last good rules", got)
	}
	if got := p.get(t, p.admin+"/readyz", ""); got != http.StatusOK {
		t.Errorf("readyz with a broken file = %d, want 200", got)
	}

	write(t, dir, "orders.yaml", policyFor(issuer, "clerk"))
	p.eventually(t, "the mended rules let the clerk in", func() bool { return p.get(t, orders, token) == http.StatusOK })

	_, metrics := fetch(t, p.admin+"/metrics", "")
	_, snapshot := fetch(t, p.admin+"/debug/snapshot", "")
	if !strings.Contains(metrics, "bearerguard_dpop_proofs 0\n") || !strings.Contains(metrics, "bearerguard_dpop_proofs_forgotten_total 0\n") ||
		!strings.Contains(metrics, `bearerguard_requests_total{`) || !strings.Contains(metrics, "bearerguard_snapshot_info") {
		t.Errorf("metrics lack something:\n%.2000s", metrics)
	}
	if !strings.Contains(snapshot, `"policies": 1`) {
		t.Errorf("snapshot: %s", snapshot)
	}
	p.stop(t)
	for name, text := range map[string]string{"the log": p.log.String(), "the metrics": metrics, "the snapshot": snapshot} {
		for _, canary := range []string{"canary-claim", token[strings.LastIndexByte(token, '.')+1:], `"kty"`} {
			if strings.Contains(text, canary) {
				t.Errorf("%q is in %s", canary, name)
			}
		}
	}
}

// stop asks the sidecar to end, and wants an orderly end. All of its log is there then, which is not so before.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.exited:
		if err != nil {
			t.Errorf("the sidecar ended with %v\n%s", err, p.log)
		}
	case <-time.After(patience):
		t.Fatalf("the sidecar does not end\n%s", p.log)
	}
}

func TestRotatedKeyIsFetched(t *testing.T) {
	t.Parallel()
	before, after := gatetest.NewIssuer("https://corp.example", "before"), gatetest.NewIssuer("https://corp.example", "after")
	var current atomic.Pointer[gatetest.Issuer]
	current.Store(before)
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, current.Load().JWKS())
	}))
	defer provider.Close()
	dir := t.TempDir()
	policy := strings.Replace(policyFor(before, "clerk"), "{configMapRef: {name: corp, key: jwks.json}}", "{jwksURL: '"+provider.URL+"'}", 1)
	write(t, dir, "orders.yaml", policy)
	p := start(t, newApp(t), "--policies", dir, "--key-allow-http", "--key-allow-nets", "127.0.0.0/8")
	orders, claims := p.url+"/orders/7", map[string]any{"sub": "alice", "role": "clerk"}
	old, fresh := before.Token(time.Now(), claims), after.Token(time.Now(), claims)
	if got := p.get(t, orders, old); got != http.StatusOK {
		t.Errorf("with a known key: %d, want 200\n%s", got, p.log)
	}
	current.Store(after)
	p.eventually(t, "the new key is fetched because a token names it", func() bool { return p.get(t, orders, fresh) == http.StatusOK })
	if got := p.get(t, orders, old); got != http.StatusUnauthorized {
		t.Errorf("with a key that is gone: %d, want 401", got)
	}
}

func TestPushedWithoutAController(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "ca.crt", "none yet")
	write(t, dir, "token", "canary-token")
	p := start(t, newApp(t), "--push", "127.0.0.1:1", "--push-ca", filepath.Join(dir, "ca.crt"),
		"--push-token", filepath.Join(dir, "token"), "--state-dir", dir)
	for url, want := range map[string]int{
		p.admin + "/healthz":        http.StatusOK,
		p.admin + "/readyz":         http.StatusServiceUnavailable,
		p.admin + "/debug/snapshot": http.StatusNotFound,
		p.url + "/orders":           http.StatusServiceUnavailable,
	} {
		if got := p.get(t, url, ""); got != want {
			t.Errorf("%s = %d, want %d", url, got, want)
		}
	}
	p.stop(t)
	if strings.Contains(p.log.String(), "canary") {
		t.Errorf("the token is in the log:\n%s", p.log)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	dir, app := t.TempDir(), newApp(t)
	write(t, dir, "orders.yaml", policyFor(gatetest.NewIssuer("https://corp.example", "one"), "clerk"))
	port := app[strings.LastIndexByte(app, ':')+1:]
	get := func(path string) string {
		return `{"httpGet":{"scheme":"HTTP","port":` + port + `,"path":"` + path + `","httpHeaders":[{"name":"Host","value":"shop.example"},{"name":"X-Probe","value":"yes"}]},"timeoutSeconds":5}`
	}
	p := start(t, app, "--policies", dir, "--probes", `{"app/readiness":`+get("/host")+`,"app/liveness":`+get("/broken")+
		`,"moved/liveness":`+get("/moved")+`,"away/liveness":`+get("/away")+
		`,"tcp/startup":{"tcpSocket":{"port":`+port+`}},"dead/startup":{"tcpSocket":{"port":1}},"grpc/startup":{"grpc":{"port":`+port+`},"timeoutSeconds":1}}`)
	for path, want := range map[string]int{
		"app/readiness":  http.StatusOK, // with its headers, and no token
		"app/liveness":   http.StatusServiceUnavailable,
		"moved/liveness": http.StatusServiceUnavailable, // the redirect is followed
		"away/liveness":  http.StatusOK,                 // the redirect is the answer
		"tcp/startup":    http.StatusOK,
		"dead/startup":   http.StatusServiceUnavailable,
		"grpc/startup":   http.StatusServiceUnavailable, // the app speaks HTTP/1.1 alone
		"app/startup":    http.StatusNotFound,
	} {
		if got := p.get(t, p.admin+"/probe/"+path, ""); got != want {
			t.Errorf("probe %s = %d, want %d", path, got, want)
		}
	}
}

func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.yaml", "kind: AuthPolcy\n")
	tests := map[string]struct {
		args []string
		want string
	}{
		"a wrong flag":      {[]string{"run", "--polices", dir}, "unknown flag: --polices"},
		"a wrong value":     {[]string{"run", "--policies", dir, "--listen", "x"}, `--listen: "x" is no address`},
		"a wrong file":      {[]string{"run", "--policies", dir, "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1"}, `a.yaml:1: kind: "AuthPolcy" is not used here`},
		"a wrong log level": {[]string{"run", "--policies", dir, "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1", "--log-level", "loud"}, "loud"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			out, err := exec.CommandContext(ctx, program, test.args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("%v: %s\nwant a failure with %s", err, out, test.want)
			}
		})
	}
}
