package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/freeport"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// root is the repository's.
const root = "../../.."

// patience bounds every wait; none takes long unless the test fails.
const patience = 30 * time.Second

var corp = gatetest.NewIssuer("https://corp.example", "one")

func policyText() string {
	return `apiVersion: bearerguard.dev/v1alpha1
kind: AuthPolicy
metadata: {name: shop}
spec:
  issuers:
  - {name: corp, issuer: "https://corp.example", audiences: [orders], keys: {jwks: '` + corp.JWKS() + `'}}
  rules:
  - {name: users, match: [{hosts: [shop.example]}], allow: {authenticated: true}}
  - {name: admin, match: [{paths: [/admin, "/admin/**"]}], deny: {}}
  forward:
    headers:
    - {name: X-User, claim: sub}
    - {name: X-Groups, claim: groups, format: CSV}
`
}

var sidecar struct {
	once sync.Once
	path string
	err  error
}

// build returns the real sidecar, built once.
func build(t *testing.T) string {
	t.Helper()
	sidecar.once.Do(func() {
		dir, err := os.MkdirTemp("", "gateway")
		if err != nil {
			sidecar.err = err
			return
		}
		sidecar.path = filepath.Join(dir, "sidecar")
		out, err := exec.Command("go", "build", "-C", root, "-tags", "grpcnotrace", "-o", sidecar.path, "./cmd/sidecar").CombinedOutput()
		if err != nil {
			sidecar.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if sidecar.err != nil {
		t.Fatal(sidecar.err)
	}
	return sidecar.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if sidecar.path != "" {
		_ = os.RemoveAll(filepath.Dir(sidecar.path))
	}
	os.Exit(code)
}

// run starts a program that ends with the test, and waits until something listens on the address.
func run(t *testing.T, address string, cmd *exec.Cmd) {
	t.Helper()
	var log strings.Builder
	var mu sync.Mutex
	cmd.Stdout = writer(func(b []byte) { mu.Lock(); defer mu.Unlock(); log.Write(b) })
	cmd.Stderr, cmd.WaitDelay = cmd.Stdout, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if mu.Lock(); t.Failed() {
			t.Logf("%s:\n%.6000s", filepath.Base(cmd.Path), log.String())
		}
		mu.Unlock()
	})
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s has ended:\n%s", cmd.Path, log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", cmd.Path)
		}
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

// serve starts sidecar serve with the policy, and returns the address that gateways ask.
func serve(t *testing.T, flag string, args ...string) string {
	t.Helper()
	dir, address := t.TempDir(), freeport.For(t)
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(policyText()), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, address, exec.Command(build(t), append([]string{"serve", "--policies", dir, "--admin", "", flag, address}, args...)...))
	return address
}

// app keeps the requests that got to it.
type app struct {
	address string
	mu      sync.Mutex
	got     []*http.Request
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got = append(a.got, r.Clone(t.Context()))
		_, _ = io.WriteString(w, "hello from the app")
	}))
	t.Cleanup(s.Close)
	a.address = strings.TrimPrefix(s.URL, "http://")
	return a
}

// take returns the requests that have come since it was asked last.
func (a *app) take() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.got = nil }()
	return a.got
}

// configuration returns the block of docs/ext-authz.md of this language, with other addresses.
func configuration(t *testing.T, language string, addresses ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "ext-authz.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```"+language+"\n")
	if !ok {
		t.Fatalf("docs/ext-authz.md has no block of %s", language)
	}
	block, _, _ = strings.Cut(block, "```")
	for i := 0; i < len(addresses); i += 2 {
		if !strings.Contains(block, addresses[i]) {
			t.Fatalf("docs/ext-authz.md: the block of %s lacks %q", language, addresses[i])
		}
	}
	return strings.NewReplacer(addresses...).Replace(block)
}

// send sends a request as it is written, without a client that would mend it, and returns the answer.
func send(t *testing.T, address, method, target, token string, fields ...string) (int, http.Header, string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	head := method + " " + target + " HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n"
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	for _, f := range fields {
		head += f + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode, res.Header, string(body)
}
