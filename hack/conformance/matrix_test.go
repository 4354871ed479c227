package conformance

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"text/template"
	"time"

	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// cases are what every client must find with every app; the words behind a case's name are what it prints. Patterned
// bodies are named by length and the start of their SHA-256.
var cases = []struct{ name, want string }{
	{"get", "200 hello"},
	{"head", "200 5 0"},
	{"body-0-length", "2 0 e3b0c44298fc1c14"},
	{"body-0-chunked", "2 0 e3b0c44298fc1c14"},
	{"body-1K-length", "2 1024 " + patterned(1024)},
	{"body-1K-chunked", "2 1024 " + patterned(1024)},
	{"body-10M-length", "2 10485760 " + patterned(10<<20)},
	{"body-10M-chunked", "2 10485760 " + patterned(10<<20)},
	{"not-modified", "304 0"},
	{"gzip", "200 gzip 10000 " + patterned(10_000)},
	{"range", "206 bytes 10-19/10000 " + string(pattern(20)[10:])},
	{"expect", "2 1024 " + patterned(1024)},
	{"trailers", "200 abc X-Sum=1"},
	{"reuse", "200 200 True"},
	{"events", "data: 0,data: 1,data: 2"},
}

// sizes are those of bodies.
var sizes = map[string]int{"0": 0, "1K": 1024, "10M": 10 << 20}

// upstream is an app of the matrix.
type upstream struct {
	name string
	// start returns the app's address, or "" if its program is not installed.
	start func(t *testing.T) string
	// method is that of bodies: nginx itself stores what is PUT, and sends no events.
	method string
}

// TestMatrix has every client ask every app through the proxy.
func TestMatrix(t *testing.T) {
	t.Parallel()
	clients := []struct {
		name string
		run  func(t *testing.T, addr, method string) (string, error)
	}{
		{"curl", program("curl", "bash", "clients/curl.sh")},
		{"Go", goClient},
		{"Node", program("node", "node", "clients/client.mjs")},
		{"Python", program("python3", "python3", "clients/client.py")},
	}
	upstreams := []upstream{
		{"Go", func(t *testing.T) string { return serve(t, goApp()) }, "POST"},
		{goH2C, func(t *testing.T) string { return serve(t, goApp()) }, "POST"},
		{"Node", server("node", "servers/server.mjs"), "POST"},
		{"Python", server("python3", "servers/server.py"), "POST"},
		{"nginx", nginx, "PUT"},
	}
	results := make([][]string, len(clients))
	var mu sync.Mutex
	t.Cleanup(func() { // when the subtests are done
		var out strings.Builder
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		fmt.Fprint(w, "client\\app")
		for _, u := range upstreams {
			fmt.Fprint(w, "\t", u.name)
		}
		for i, c := range clients {
			fmt.Fprint(w, "\n", c.name, "\t", strings.Join(results[i], "\t"))
		}
		_ = w.Flush()
		t.Logf("cases passed through the proxy:\n%s", out.String())
	})
	for i := range clients {
		results[i] = make([]string, len(upstreams))
	}
	for j, u := range upstreams {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			app := u.start(t)
			if app == "" {
				for i := range clients {
					results[i][j] = "not installed"
				}
				t.Skipf("%s is not installed", u.name)
			}
			addr := guard(t, "http://"+app, func(c *proxy.Config) {
				if u.name == goH2C {
					c.AppProtocol = proxy.AppH2C
				}
			})
			for i, c := range clients { // one after the other: they share the machine, and the app's events
				t.Run(c.name, func(t *testing.T) {
					out, err := c.run(t, addr, u.method)
					passed, all := judge(t, out, err, u.method)
					mu.Lock()
					defer mu.Unlock()
					results[i][j] = fmt.Sprintf("%d/%d", passed, all)
				})
			}
		})
	}
}

// goH2C is the app that gets all requests over HTTP/2 without TLS.
const goH2C = "Go, h2c"

// judge compares what a client printed with what it should have, and counts.
func judge(t *testing.T, out string, err error, method string) (passed, all int) {
	t.Helper()
	if err != nil {
		t.Errorf("the client fails: %v", err)
	}
	got := map[string]string{}
	for line := range strings.Lines(out) {
		name, words, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[name] = words
	}
	for _, c := range cases {
		if c.name == "events" && method == "PUT" {
			continue
		}
		all++
		if got[c.name] == c.want {
			passed++
		} else {
			t.Errorf("%s: got %q, want %q", c.name, got[c.name], c.want)
		}
	}
	return passed, all
}

// program is a client that is a script and needs a program.
func program(needed, interpreter, script string) func(*testing.T, string, string) (string, error) {
	return func(t *testing.T, addr, method string) (string, error) {
		need(t, needed)
		path, err := filepath.Abs(script)
		if err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, interpreter, path, addr, method)
		cmd.Dir = t.TempDir()
		for name, size := range sizes {
			if err := os.WriteFile(filepath.Join(cmd.Dir, name), pattern(size), 0o600); err != nil {
				return "", err
			}
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, stderr.String())
		}
		return string(out), err
	}
}

// need skips the test where a program is missing. What hack/cluster/deps.sh installs must be there where CI is set.
func need(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") != "" && slices.Contains([]string{"curl", "node", "npm"}, name):
		t.Fatalf("%s is not installed", name)
	default:
		t.Skipf("%s is not installed", name)
	}
}

// server is an app that is a script, and prints its port.
func server(interpreter, script string) func(*testing.T) string {
	return func(t *testing.T) string {
		if _, err := exec.LookPath(interpreter); err != nil {
			return ""
		}
		cmd := exec.Command(interpreter, script)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		start(t, cmd)
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return "127.0.0.1:" + strings.TrimSpace(line)
	}
}

// start starts a process that ends with the test.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// nginx serves files, and stores what is PUT.
func nginx(t *testing.T) string {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return ""
	}
	dir := t.TempDir()
	for _, d := range []string{"root/open/stored", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string][]byte{"hello": []byte("hello"), "abc": []byte("abc"), "file": pattern(10_000), "text.txt": pattern(10_000)} {
		if err := os.WriteFile(filepath.Join(dir, "root/open", name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l := listen(t)
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	_ = l.Close()
	conf, err := os.Create(filepath.Join(dir, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := template.Must(template.ParseFiles("servers/nginx.conf")).Execute(conf, map[string]string{"Dir": dir, "Port": port}); err != nil {
		t.Fatal(err)
	}
	_ = conf.Close()
	cmd := exec.Command(path, "-p", dir, "-c", conf.Name(), "-g", "daemon off; master_process off;")
	cmd.Stderr = os.Stderr
	start(t, cmd)
	await(t, "127.0.0.1:"+port)
	return "127.0.0.1:" + port
}

// await waits until somebody listens.
func await(t *testing.T, addr string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if accepts(t, addr) {
			return
		}
	}
	t.Fatalf("nobody listens on %s", addr)
}
