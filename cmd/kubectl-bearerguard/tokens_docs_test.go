package main

import (
	"bufio"
	"fmt"
	"io"
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
)

// tried is what a block of commands does, with the variables that it sets.
type tried struct {
	sidecar, app, address string // the program, and what stands for the addresses that are written
	variables             map[string]string
	said                  string // by the last command
}

// do runs one line of a block: a command, or what the last one says.
func (p *tried) do(t *testing.T, line string) {
	t.Helper()
	command, isCommand := strings.CutPrefix(line, "$ ")
	if !isCommand {
		p.says(t, line)
		return
	}
	name := ""
	if set, rest, ok := strings.Cut(command, "=$("); ok {
		name, command = set, strings.TrimSuffix(rest, ")")
	}
	for variable, value := range p.variables {
		command = strings.ReplaceAll(command, "$"+variable, value)
	}
	switch args := words(command); args[0] {
	case "bearerguard":
		said, err := runAt(t, time.Now, args[1:]...)
		if p.said = said; err != nil && !strings.Contains(said, "REFUSED") {
			t.Fatalf("%s: %v\n%s", line, err, said)
		}
	case "sidecar":
		p.start(t, args[1:len(args)-1])
	case "curl":
		p.said = p.curl(t, args[1:])
	default:
		t.Fatalf("unknown: %s", line)
	}
	if name != "" {
		p.variables[name] = strings.TrimSpace(p.said)
	}
}

// says holds a line against what was said. A line that ends with "..." is the beginning of one, and one that ends with a variable sets it.
func (p *tried) says(t *testing.T, want string) {
	t.Helper()
	for got := range strings.Lines(p.said) {
		got = strings.TrimRight(got, "\r\n")
		before, variable, sets := strings.Cut(want, "$")
		start, cut := strings.CutSuffix(want, "...")
		switch {
		case got == want, cut && strings.HasPrefix(got, start):
			return
		case sets && len(got) > len(before) && strings.HasPrefix(got, before):
			p.variables[variable] = got[len(before):]
			return
		}
	}
	t.Errorf("nothing says %q:\n%s", want, p.said)
}

// curl makes a request as "curl -i" does, and returns the head of the answer.
func (p *tried) curl(t *testing.T, args []string) string {
	t.Helper()
	url := strings.Replace(args[len(args)-1], "127.0.0.1:8080", p.address, 1)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		if a == "-H" {
			name, value, _ := strings.Cut(args[i+1], ": ")
			r.Header.Set(name, value)
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s\r\n", res.Proto, res.Status)
	_ = res.Header.Write(&head)
	return head.String()
}

// start runs a sidecar until the test ends.
func (p *tried) start(t *testing.T, args []string) {
	t.Helper()
	for i, a := range args {
		args[i] = strings.NewReplacer("127.0.0.1:8080", p.address, "http://127.0.0.1:9000", p.app).Replace(a)
	}
	cmd := exec.Command(p.sidecar, append(args, "--admin", "")...) //nolint:gosec // a test
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	runs, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(log)
		for once := sync.OnceFunc(func() { close(runs) }); lines.Scan(); {
			fmt.Fprintln(t.Output(), lines.Text())
			if strings.Contains(lines.Text(), "sidecar runs") {
				once()
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-read
		_ = cmd.Wait()
	})
	select {
	case <-runs:
	case <-read:
		t.Fatal("the sidecar has ended")
	case <-time.After(30 * time.Second):
		t.Fatal("the sidecar does not listen")
	}
}

// The commands of docs/tokens.md by which DPoP is tried do what the page says, against a real sidecar.
func TestCommandsOfTheTokensPage(t *testing.T) { // not parallel: it changes the directory
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "tokens.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "### Try it by hand")
	if !ok {
		t.Fatal("the section is gone")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "sidecar")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", program, "../sidecar").CombinedOutput(); err != nil { //nolint:gosec // a test
		t.Fatalf("%v\n%s", err, out)
	}
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(app.Close)
	p := &tried{sidecar: program, app: app.URL, address: freeport.For(t), variables: map[string]string{}}
	t.Chdir(dir)
	if err := os.Mkdir("policies", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("policies", "policy.yaml"), []byte(fenced(t, section, "yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	block := strings.TrimSpace(fenced(t, section, "console"))
	for line := range strings.Lines(block) {
		p.do(t, strings.TrimRight(line, "\n"))
	}
	if n := strings.Count(block, "$ "); n != 12 {
		t.Errorf("%d commands", n)
	}
}
