package traces

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
	dir, err := os.MkdirTemp("", "traces")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "sidecar")
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", program, "./cmd/sidecar")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

const patience = 30 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waiting until %s: in vain", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// buffer is a log that is written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
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

// app keeps the headers of the requests that it gets, by their ids, and answers with the status that the path says.
type app struct {
	url string

	mu  sync.Mutex
	got map[string]http.Header
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{got: map[string]http.Header{}}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.got[r.Header.Get("X-Request-Id")] = r.Header.Clone()
		a.mu.Unlock()
		if r.URL.Path == "/orders/500" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprint(w, "hello")
	}))
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	a.url = s.URL
	return a
}

func (a *app) header(id string) http.Header {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.got[id]
}

var corp = gatetest.NewIssuer("https://login.example.com", "k1")

// policies returns a folder with the usual policy.
func policies(t *testing.T) string {
	t.Helper()
	return folder(t, `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: orders}
spec:
  issuers:
  - name: corp
    issuer: `+corp.URL+`
    audiences: [orders]
    keys: {configMapRef: {name: corp, key: jwks.json}}
  rules:
  - name: read
    match: [{paths: ["/orders/{id}"]}]
    allow: {scopes: [orders.read]}
  - name: public
    match: [{paths: [/public]}]
    allow: {anonymous: true}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: corp}
data:
  jwks.json: '`+corp.JWKS()+`'
`)
}

// folder returns one with a manifest.
func folder(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// process is a running sidecar.
type process struct {
	url, admin string
	log        *buffer
	cmd        *exec.Cmd
}

// start runs a sidecar with what else args say.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return startBy(t, policies(t), env, args...)
}

// startBy runs a sidecar with the policies of a folder.
func startBy(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	p := &process{log: &buffer{}}
	admin := freeport.For(t)
	p.admin = "http://" + admin
	p.cmd = exec.Command(program, append(args, "--policies", dir, "--admin", admin, "--log-allow-every", "1")...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(), env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	eventually(t, "the sidecar is ready", func() bool {
		status, _ := fetch(t, http.DefaultClient, p.admin+"/readyz", "", nil)
		return status == http.StatusOK
	})
	return p
}

// guard runs a sidecar in front of an app.
func guard(t *testing.T, a *app, env []string, args ...string) *process {
	t.Helper()
	return guardBy(t, policies(t), a.url, env, args...)
}

// guardBy runs one with the policies of a folder.
func guardBy(t *testing.T, dir, app string, env []string, args ...string) *process {
	t.Helper()
	listen := freeport.For(t)
	p := startBy(t, dir, env, append([]string{"run", "--listen", listen, "--upstream", app}, args...)...)
	p.url = "http://" + listen
	return p
}

// stop has the sidecar end in order.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
}

func fetch(t *testing.T, c *http.Client, url, id string, header map[string]string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if id != "" {
		r.Header.Set("X-Request-Id", id)
	}
	for name, value := range header {
		r.Header[name] = strings.Split(value, "|")
	}
	res, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

func token() map[string]string {
	return map[string]string{"Authorization": "Bearer " + corp.Token(time.Now(), map[string]any{"scope": "orders.read", "sub": "alice-secret-subject"})}
}
